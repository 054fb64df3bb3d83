// A checkpoint of torch.save as it is. The mutator changes records and puts them into an archive without
// contradictions, or with one.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mq::fuzz::open_and_look(mq::fuzz::input_file(mq::fuzz::text_of(data, size)));
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_zip)
