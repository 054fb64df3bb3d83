// The JSON of a safetensors header, taken in as it is parsed: the text is never a tree.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "formats/limits.hpp"
#include "mq/checkpoint.hpp"
#include "src/json.hpp"

namespace mq::formats {

// Where a tensor's bytes lie, relative to the end of the header.
struct SafetensorsExtent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

// Collects the entries and checks each by itself. An entry is an object of three members, or, as the reference accepts
// too, an array of the three in their order.
class SafetensorsParser final : public json::Events {
 public:
  // `source` names the file in errors; the JSON begins at first_offset of it.
  SafetensorsParser(std::string source, std::size_t first_offset, const Limits& limits)
      : source_(std::move(source)), limits_(limits) {
    offset = first_offset;
  }

  std::vector<TensorInfo> tensors;
  std::vector<SafetensorsExtent> extents;
  Metadata metadata;

  bool null() override {
    if (at_ == At::Header && in_metadata_) return true;  // as if it were not there
    return scalar("null");
  }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool integer(std::int64_t value) override {
    if (at_ != At::Shape && at_ != At::Offsets) return scalar(std::to_string(value));
    if (value < 0) fail("not an unsigned integer", "a whole number of 0 or more", std::to_string(value));
    return element(static_cast<std::uint64_t>(value));
  }
  bool unsigned_integer(std::uint64_t value) override {
    if (at_ != At::Shape && at_ != At::Offsets) return scalar(std::to_string(value));
    fail("number too large", "less than 2^63", std::to_string(value));
  }
  bool number(double) override {
    if (at_ == At::Shape || at_ == At::Offsets) fail("not an unsigned integer", "digits only", "another number");
    return scalar("a number");
  }
  bool string(std::string& value) override;
  bool start_object() override;
  bool key(std::string& value) override;
  bool end_object() override { return end_container(); }
  bool start_array() override;
  bool end_array() override { return end_container(); }

 private:
  enum class At { Start, Header, Metadata, Entry, Shape, Offsets, Ignored };
  enum Field : std::size_t { kDType, kShape, kOffsets, kUnknown };
  static constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};

  [[noreturn]] void fail(const std::string& message, std::string expected, std::string found) const {
    const bool has_name = at_ != At::Start && at_ != At::Metadata && !in_metadata_ && !tensors.empty();
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "invalid header: " + message,
                 .file = source_,
                 .tensor = has_name ? tensors.back().name : "",
                 .offset = offset,
                 .expected = std::move(expected),
                 .found = std::move(found)});
  }
  // Fails if there are more of something than a limit allows.
  void require(std::uint64_t Limits::*limit, const char* what, std::uint64_t found) const {
    if (found <= limits_.*limit) return;
    refuse_limit(limits_, limit, {.message = what, .file = source_, .offset = offset, .found = std::to_string(found)});
  }

  std::string expected_here() const;
  bool scalar(std::string found);
  bool element(std::uint64_t value);
  bool begin_entry(bool positional);
  Field next_field();
  void take_field(Field field);
  bool ignore_container();
  bool end_container();
  void end_entry();

  std::string source_;
  Limits limits_;
  At at_ = At::Start;
  bool in_metadata_ = false;  // the key just read in the header was __metadata__
  bool has_metadata_ = false;
  bool positional_ = false;     // the entry is an array
  Field field_ = kUnknown;      // of the entry, whose value comes next
  std::array<bool, 3> seen_{};  // fields of the entry
  int offsets_seen_ = 0;
  int ignored_depth_ = 0;  // open containers inside an unknown field
};

}  // namespace mq::formats
