// The directory of a zip archive and the content of its records, whatever they hold.
#include "formats/zip.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto& path = mq::fuzz::input_file(mq::fuzz::text_of(data, size));
  mq::fuzz::expect_verdict(path, [&] {
    const mq::formats::ZipArchive archive(mq::io::File::open(path));
    for (const mq::formats::ZipRecord& record : archive.records()) {
      if (archive.find(record.name) != &record) mq::fuzz::fail("a record is not found by its name");
      // A record that cannot be read keeps nobody from reading the next one.
      mq::fuzz::expect_verdict(path, [&] { archive.read_text(record, 1 << 20); });
    }
  });
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_zip)
