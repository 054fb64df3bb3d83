#include "formats/safetensors_parser.hpp"

#include <algorithm>
#include <optional>

#include "formats/safetensors_dtype.hpp"
#include "mq/error.hpp"

namespace mq::formats {

std::string SafetensorsParser::expected_here() const {
  switch (at_) {
    case At::Start:
      return "an object";
    case At::Header:
      return in_metadata_ ? "an object of strings" : "an object";
    case At::Metadata:
      return "a string";
    case At::Shape:
    case At::Offsets:
      return "a whole number";
    default:
      return field_ == kDType ? "a string" : "an array";
  }
}

// The field that the value about to come belongs to.
SafetensorsParser::Field SafetensorsParser::next_field() {
  if (!positional_) return field_;
  const std::size_t filled = static_cast<std::size_t>(std::ranges::count(seen_, true));
  if (filled == seen_.size()) fail("more than three members in an entry", "dtype, shape, data_offsets", "a fourth");
  take_field(static_cast<Field>(filled));
  return field_;
}

void SafetensorsParser::take_field(Field field) {
  field_ = field;
  if (field == kUnknown) return;
  if (std::exchange(seen_[field], true)) fail("member twice in one entry", "", std::string(kFields[field]));
}

bool SafetensorsParser::scalar(std::string found) {
  if (at_ == At::Ignored) return true;
  if (at_ == At::Entry && next_field() == kUnknown) return true;
  fail("value of a wrong type", expected_here(), std::move(found));
}

bool SafetensorsParser::string(std::string& value) {
  if (at_ == At::Metadata) {
    metadata.back().second = std::move(value);
    return true;
  }
  if (at_ == At::Entry && next_field() == kDType) {
    const std::optional<DType> dtype = safetensors_dtype(value);
    if (!dtype) fail("unknown dtype", "BOOL, U8, F32, ...", value);
    tensors.back().dtype = *dtype;
    return true;
  }
  if (at_ == At::Ignored || (at_ == At::Entry && field_ == kUnknown)) return true;
  fail("value of a wrong type", expected_here(), "a string");
}

bool SafetensorsParser::start_object() {
  switch (at_) {
    case At::Start:
      at_ = At::Header;
      return true;
    case At::Header:
      if (!in_metadata_) return begin_entry(false);
      at_ = At::Metadata;
      return true;
    case At::Entry:
      if (next_field() == kUnknown) return ignore_container();
      break;
    case At::Ignored:
      return ignore_container();
    default:
      break;
  }
  fail("value of a wrong type", expected_here(), "an object");
}

bool SafetensorsParser::start_array() {
  if (at_ == At::Header && !in_metadata_) return begin_entry(true);
  if (at_ == At::Ignored) return ignore_container();
  if (at_ == At::Entry) {
    switch (next_field()) {
      case kShape:
        at_ = At::Shape;
        return true;
      case kOffsets:
        at_ = At::Offsets;
        offsets_seen_ = 0;
        return true;
      case kUnknown:
        return ignore_container();
      default:
        break;
    }
  }
  fail("value of a wrong type", expected_here(), "an array");
}

bool SafetensorsParser::key(std::string& value) {
  if (at_ == At::Header) {
    in_metadata_ = value == "__metadata__";
    if (in_metadata_) {
      if (std::exchange(has_metadata_, true)) fail("__metadata__ twice", "", "");
      return true;
    }
    require(&Limits::name_bytes, "bytes of a name", value.size());
    require(&Limits::entries, "tensors", tensors.size() + 1);
    tensors.emplace_back().name = std::move(value);
    extents.emplace_back();
  } else if (at_ == At::Metadata) {
    require(&Limits::entries, "entries of metadata", metadata.size() + 1);
    metadata.emplace_back(std::move(value), std::string());
  } else if (at_ == At::Entry) {
    const auto field = std::ranges::find(kFields, value);
    take_field(static_cast<Field>(field - kFields.begin()));
  }
  return true;
}

bool SafetensorsParser::begin_entry(bool positional) {
  at_ = At::Entry;
  positional_ = positional;
  seen_ = {};
  return true;
}

bool SafetensorsParser::element(std::uint64_t value) {
  if (at_ == At::Shape) {
    Shape& shape = tensors.back().shape;
    require(&Limits::rank, "dimensions of a tensor", shape.size() + 1);
    shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }
  if (offsets_seen_ == 2) fail("wrong number of offsets", "two", "more");
  (offsets_seen_++ == 0 ? extents.back().begin : extents.back().end) = value;
  return true;
}

bool SafetensorsParser::ignore_container() {
  at_ = At::Ignored;
  ++ignored_depth_;
  return true;
}

bool SafetensorsParser::end_container() {
  switch (at_) {
    case At::Ignored:
      if (--ignored_depth_ == 0) at_ = At::Entry;
      break;
    case At::Offsets:
      if (offsets_seen_ != 2) fail("wrong number of offsets", "two", std::to_string(offsets_seen_));
      at_ = At::Entry;
      break;
    case At::Shape:
      at_ = At::Entry;
      break;
    case At::Entry:
      end_entry();
      [[fallthrough]];
    default:
      at_ = At::Header;
  }
  return true;
}

void SafetensorsParser::end_entry() {
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    if (!seen_[i]) fail("member missing in an entry", std::string(kFields[i]), "");
  }
}

}  // namespace mq::formats
