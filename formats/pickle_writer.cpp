#include "formats/pickle_writer.hpp"

#include <cstring>
#include <limits>

#include "mq/error.hpp"

namespace mq::formats {

PickleWriter::PickleWriter() : out_("\x80\x02") {}

template <class T>
void PickleWriter::number(T value) {
  const std::size_t at = out_.size();
  out_.resize(at + sizeof value);
  std::memcpy(out_.data() + at, &value, sizeof value);
}

bool PickleWriter::recall(const std::string& key) {
  const auto known = memo_.find(key);
  if (known == memo_.end()) return false;
  out_ += 'h';  // BINGET
  number(known->second);
  return true;
}

void PickleWriter::memoize(std::string key) {
  if (memo_.size() > std::numeric_limits<std::uint8_t>::max()) {
    throw Error(ErrorCode::Internal, "a pickle with too many words");
  }
  const auto index = static_cast<std::uint8_t>(memo_.size());
  memo_.emplace(std::move(key), index);
  out_ += 'q';  // BINPUT
  number(index);
}

void PickleWriter::global(std::string_view module, std::string_view name) {
  std::string line = std::string(module) + '\n' + std::string(name) + '\n';
  if (recall(line)) return;
  out_ += 'c' + line;
  memoize(std::move(line));
}

void PickleWriter::text(std::string_view utf8) {
  if (utf8.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error(ErrorCode::Limit, "a text of more than 4 GiB in a pickle");
  }
  out_ += 'X';  // BINUNICODE
  number(static_cast<std::uint32_t>(utf8.size()));
  out_ += utf8;
}

void PickleWriter::word(std::string_view utf8) {
  std::string key(utf8);
  if (recall(key)) return;
  text(utf8);
  memoize(std::move(key));
}

void PickleWriter::integer(std::int64_t value) {
  if (value >= 0 && value <= std::numeric_limits<std::uint8_t>::max()) {
    out_ += 'K';  // BININT1
    number(static_cast<std::uint8_t>(value));
  } else if (value >= 0 && value <= std::numeric_limits<std::uint16_t>::max()) {
    out_ += 'M';  // BININT2
    number(static_cast<std::uint16_t>(value));
  } else if (value >= std::numeric_limits<std::int32_t>::min() && value <= std::numeric_limits<std::int32_t>::max()) {
    out_ += 'J';  // BININT
    number(static_cast<std::int32_t>(value));
  } else {
    out_ += "\x8a\x08";  // LONG1
    number(value);
  }
}

void PickleWriter::boolean(bool value) {
  out_ += value ? '\x88' : '\x89';
}

void PickleWriter::empty_tuple() {
  out_ += ')';
}

void PickleWriter::integers(std::span<const std::int64_t> values) {
  if (values.empty()) return empty_tuple();
  if (values.size() > 3) mark();
  for (const std::int64_t value : values) integer(value);
  if (values.size() > 3) return tuple();
  out_ += static_cast<char>('\x84' + static_cast<char>(values.size()));  // TUPLE1 to TUPLE3
}

std::uint64_t PickleWriter::later_float() {
  out_ += 'G';  // BINFLOAT
  number(std::uint64_t{0});
  return out_.size() - sizeof(std::uint64_t);
}

std::uint64_t PickleWriter::later_integer() {
  out_ += "\x8a\x08";  // LONG1
  number(std::uint64_t{0});
  return out_.size() - sizeof(std::uint64_t);
}

void PickleWriter::mark() {
  out_ += '(';
}

void PickleWriter::tuple() {
  out_ += 't';
}

void PickleWriter::call() {
  out_ += 'R';  // REDUCE
}

void PickleWriter::persistent_id() {
  out_ += 'Q';  // BINPERSID
}

void PickleWriter::set_items() {
  out_ += 'u';  // SETITEMS
}

std::string PickleWriter::finish() && {
  out_ += '.';  // STOP
  return std::move(out_);
}

}  // namespace mq::formats
