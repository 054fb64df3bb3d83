// A checkpoint of torch.save before 0.1.10: a tar archive. The mutator keeps sizes and checksums of members right.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mq::fuzz::open_and_look(mq::fuzz::input_file(mq::fuzz::text_of(data, size)));
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_tar)
