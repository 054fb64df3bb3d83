// Pickles put together opcode by opcode, right or wrong.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace mq::test {

class PickleBuilder {
 public:
  const std::string& bytes() const { return bytes_; }
  std::string stop() && { return std::move(bytes_) + '.'; }

  PickleBuilder& raw(std::string_view bytes) {
    bytes_ += bytes;
    return *this;
  }
  template <class T>
  PickleBuilder& number(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    return raw({bytes, sizeof(T)});
  }
  PickleBuilder& proto(int version = 2) { return raw("\x80").raw(std::string(1, static_cast<char>(version))); }

  PickleBuilder& none() { return raw("N"); }
  PickleBuilder& boolean(bool value) { return raw(value ? "\x88" : "\x89"); }
  PickleBuilder& integer(std::int64_t value) { return raw("\x8a\x08").number(value); }
  PickleBuilder& text(std::string_view value) {
    return raw("X").number(static_cast<std::uint32_t>(value.size())).raw(value);
  }
  PickleBuilder& global(std::string_view module, std::string_view name) {
    return raw("c").raw(module).raw("\n").raw(name).raw("\n");
  }
  PickleBuilder& mark() { return raw("("); }
  PickleBuilder& tuple() { return raw("t"); }
  PickleBuilder& integers(std::initializer_list<std::int64_t> values) {
    mark();
    for (const std::int64_t value : values) integer(value);
    return tuple();
  }
  PickleBuilder& empty_tuple() { return raw(")"); }
  PickleBuilder& empty_list() { return raw("]"); }
  PickleBuilder& empty_dict() { return raw("}"); }
  PickleBuilder& append() { return raw("a"); }
  PickleBuilder& setitem() { return raw("s"); }
  PickleBuilder& reduce() { return raw("R"); }
  PickleBuilder& newobj() { return raw("\x81"); }
  PickleBuilder& build() { return raw("b"); }
  PickleBuilder& put(std::uint32_t index) { return raw("r").number(index); }
  PickleBuilder& get(std::uint32_t index) { return raw("j").number(index); }

  // What a tensor may be asked to be.
  struct Storage {
    std::string_view storage_class = "FloatStorage";
    std::string_view key = "0";
    std::int64_t numel = 0;
  };
  PickleBuilder& storage(const Storage& storage) {
    mark().text("storage").global("torch", storage.storage_class).text(storage.key).text("cpu").integer(storage.numel);
    return tuple().raw("Q");
  }
  PickleBuilder& ordered_dict() { return global("collections", "OrderedDict").empty_tuple().reduce(); }
  // _rebuild_tensor_v2 of a float storage with as many elements as `numel` says.
  PickleBuilder& tensor(const Storage& of, std::int64_t offset, std::initializer_list<std::int64_t> size,
                        std::initializer_list<std::int64_t> stride) {
    global("torch._utils", "_rebuild_tensor_v2").mark().storage(of).integer(offset).integers(size).integers(stride);
    return boolean(false).ordered_dict().tuple().reduce();
  }
  // A tensor that fills its storage.
  PickleBuilder& vector(std::string_view key, std::int64_t numel) {
    return tensor({.key = key, .numel = numel}, 0, {numel}, {1});
  }

 private:
  std::string bytes_;
};

}  // namespace mq::test
