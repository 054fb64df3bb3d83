// Makes a pickle of protocol 2, opcode by opcode: what PyTorch's restricted loader reads.
//
// Source: CPython, Lib/pickletools.py.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mq::formats {

class PickleWriter {
 public:
  PickleWriter();

  // Each pushes a value.
  void global(std::string_view module, std::string_view name);  // the second time from the memo
  void text(std::string_view utf8);
  void word(std::string_view utf8);  // a text that comes again and again: the second time from the memo
  void integer(std::int64_t value);
  void boolean(bool value);
  void empty_tuple();
  void integers(std::span<const std::int64_t> values);  // a tuple
  // A float and an integer whose eight bytes are 0 now and are filled in later: where they are. Those of the float are
  // big-endian, those of the integer little-endian.
  std::uint64_t later_float();
  std::uint64_t later_integer();

  void mark();
  void tuple();          // of what is above the mark
  void call();           // a callable and its tuple of arguments become the result
  void persistent_id();  // a value becomes the object that it names
  void set_items();      // keys and values above the mark go into the dictionary below it

  std::uint64_t size_bytes() const noexcept { return out_.size(); }
  std::string finish() &&;

 private:
  template <class T>
  void number(T value);
  // True if it is there; else it has to be pushed, then memoized.
  bool recall(const std::string& key);
  void memoize(std::string key);

  std::string out_;
  std::map<std::string, std::uint8_t> memo_;
};

}  // namespace mq::formats
