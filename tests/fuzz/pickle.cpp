// The pickle of a checkpoint whose archive is sound and has the storages "0", "1" and "2", of 24, 8 and 64 bytes. The
// archive has no checksums, so that reading tensors costs no more than their bytes.
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"
#include "tests/support/zip_builder.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes = mq::test::torch_bytes(
      {.pickle = std::string(mq::fuzz::text_of(data, size)),
       .storages = {mq::test::float_bytes(6), mq::test::float_bytes(2), mq::test::float_bytes(16)}});
  const auto& path = mq::fuzz::input_file(bytes);
  mq::fuzz::open_and_look(path);
  mq::fuzz::open_and_read(path, {.root = ".", .strict = true});
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_pickle)
