// Every file of base_files() with every single damage of a kind, one after the other. A plain run takes a sample, the
// same one each time; with MQ_FULL_SWEEPS set, all.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "tests/attacks/base_files.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_file.hpp"
#include "tests/support/verdict.hpp"
#include "tests/support/zip_builder.hpp"

using namespace mq;

namespace {

constexpr std::size_t kSampled = 400;  // damaged files of one kind that a plain run tries

class Sweep {
 public:
  explicit Sweep(const attacks::BaseFile& base) : base_(base) {}

  // Calls damage with 0, 1, ... count - 1, or with some of them; it returns the damaged file.
  template <class Damage>
  void run(std::size_t count, Damage&& damage) {
    const bool all = std::getenv("MQ_FULL_SWEEPS") != nullptr;
    const std::size_t step = all ? 1 : (count + kSampled - 1) / kSampled;
    for (std::size_t i = 0; i < count; i += step) try_one(damage(i), i);
  }

  std::size_t tried() const { return tried_; }
  std::size_t opened() const { return opened_; }

 private:
  void try_one(const std::string& bytes, std::size_t number) {
    const test::Verdict verdict = test::verdict_of(file_.put(bytes));
    ++tried_;
    opened_ += !verdict.error;
    if (verdict.complaint.empty()) return;
    FAIL_CHECK(base_.name << ", damage " << number << ": " << verdict.complaint);
  }

  const attacks::BaseFile& base_;
  test::MemoryFile file_;
  std::size_t tried_ = 0;
  std::size_t opened_ = 0;
};

}  // namespace

TEST_CASE("sweep: the base files are sound") {
  test::MemoryFile file;
  for (const attacks::BaseFile& base : attacks::base_files()) {
    CAPTURE(base.name);
    const test::Verdict verdict = test::verdict_of(file.put(base.bytes));
    CHECK_FALSE(verdict.error);
    CHECK(base.bytes.size() <= 4096);
  }
}

TEST_CASE("sweep: a file cut at any length is refused") {
  for (const attacks::BaseFile& base : attacks::base_files()) {
    CAPTURE(base.name);
    Sweep sweep(base);
    sweep.run(base.bytes.size(), [&](std::size_t i) { return base.bytes.substr(0, i); });
    if (base.every_prefix_is_refused) CHECK(sweep.opened() == 0);
  }
}

TEST_CASE("sweep: a file without any one of its bytes, or with one more, is read or refused") {
  for (const attacks::BaseFile& base : attacks::base_files()) {
    CAPTURE(base.name);
    Sweep sweep(base);
    sweep.run(base.bytes.size(), [&](std::size_t i) { return std::string(base.bytes).erase(i, 1); });
    sweep.run(base.bytes.size() + 1, [&](std::size_t i) { return std::string(base.bytes).insert(i, 1, '\0'); });
    CHECK(sweep.opened() < sweep.tried() / 2);
  }
}

TEST_CASE("sweep: a file with any one bit flipped is read or refused") {
  for (const attacks::BaseFile& base : attacks::base_files()) {
    CAPTURE(base.name);
    Sweep sweep(base);
    sweep.run(base.bytes.size() * 8, [&](std::size_t i) {
      std::string damaged = base.bytes;
      damaged[i / 8] = static_cast<char>(damaged[i / 8] ^ 1 << i % 8);
      return damaged;
    });
    MESSAGE(base.name << ": " << sweep.opened() << " of " << sweep.tried() << " were read");
  }
}

TEST_CASE("sweep: a file with any byte set to 0, 127, 128 or 255 is read or refused") {
  for (const attacks::BaseFile& base : attacks::base_files()) {
    CAPTURE(base.name);
    Sweep sweep(base);
    sweep.run(base.bytes.size() * 4, [&](std::size_t i) {
      constexpr unsigned char kValues[]{0x00, 0x7f, 0x80, 0xff};
      std::string damaged = base.bytes;
      damaged[i / 4] = static_cast<char>(kValues[i % 4]);
      return damaged;
    });
  }
}

TEST_CASE("sweep: a flipped bit of a tensor's bytes is found by the checksum, whole or in pieces, and strided too") {
  test::MemoryFile file;
  const std::string whole = attacks::base_files().front().bytes;
  for (const std::string& storage : {test::float_bytes(6), test::float_bytes(2)}) {
    const std::size_t at = whole.find("m/data/" + std::string(storage.size() == 24 ? "0" : "1"));
    const std::size_t data = whole.find(storage, at);
    for (std::size_t i = 0; i < storage.size(); ++i) {
      std::string damaged = whole;
      damaged[data + i] = static_cast<char>(damaged[data + i] ^ 4);
      const auto checkpoint = open_checkpoint(file.put(damaged));
      const auto error = test::error_of([&] {
        for (std::size_t t = 0; t < checkpoint->tensors().size(); ++t) {
          std::vector<std::byte> element(checkpoint->tensors()[t].dtype == DType::UInt16 ? 2 : 4);
          for (std::int64_t e = 0; e < checkpoint->tensors()[t].numel(); ++e) checkpoint->read(t, e, 1, element);
        }
      });
      REQUIRE(error);
      CHECK(error->code() == ErrorCode::Corrupt);
      CHECK(error->details().message == "checksum of the record");
      CHECK_FALSE(error->details().expected.empty());
    }
  }
}
