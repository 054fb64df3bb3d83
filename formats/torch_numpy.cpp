#include "formats/torch_numpy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>

namespace mq::formats::torch {
namespace {

using pickle::Kind;
using pickle::Object;

struct Code {
  std::string_view code;
  DType dtype;
};
constexpr std::array kCodes{
    Code{"f4", DType::Float32},   Code{"f8", DType::Float64},     Code{"f2", DType::Float16}, Code{"i8", DType::Int64},
    Code{"i4", DType::Int32},     Code{"i2", DType::Int16},       Code{"i1", DType::Int8},    Code{"u1", DType::UInt8},
    Code{"u2", DType::UInt16},    Code{"u4", DType::UInt32},      Code{"u8", DType::UInt64},  Code{"b1", DType::Bool},
    Code{"c8", DType::Complex64}, Code{"c16", DType::Complex128},
};

class ArrayReader {
 public:
  explicit ArrayReader(const Values& values) : graph_(values.graph()) {}

  std::optional<NumpyArray> read(NodeId id) {
    if (graph_.kind(id) != Kind::Object) return std::nullopt;
    const Object& object = graph_.object(id);
    const auto args = graph_.items(object.args);
    switch (callable(graph_.global(object.callable))) {
      case Callable::ArrayScalar:  // (dtype, bytes)
        if (args.size() != 2 || !read_type(args[0]) || !read_bytes(args[1])) return std::nullopt;
        return std::move(array_);
      case Callable::ArrayBuffer:  // (bytes, dtype, shape, order)
        if (args.size() != 4 || !read_bytes(args[0]) || !read_type(args[1]) || !read_shape(args[2]) ||
            graph_.kind(args[3]) != Kind::Str) {
          return std::nullopt;
        }
        array_.fortran = graph_.text(args[3]) == "F";
        return std::move(array_);
      case Callable::Array:
        return read_state(object.state);
      default:
        return std::nullopt;
    }
  }

 private:
  // (version, shape, dtype, is_fortran, bytes)
  std::optional<NumpyArray> read_state(NodeId state) {
    if (state == kNoNode || graph_.kind(state) != Kind::Tuple) return std::nullopt;
    const auto parts = graph_.items(state);
    if (parts.size() != 5 || !read_shape(parts[1]) || !read_type(parts[2]) || graph_.kind(parts[3]) != Kind::Bool) {
      return std::nullopt;
    }
    array_.fortran = graph_.boolean(parts[3]);
    if (array_.dtype && !read_bytes(parts[4])) return std::nullopt;
    return std::move(array_);
  }

  // dtype("f4", False, True), whose state holds the byte order.
  bool read_type(NodeId id) {
    if (graph_.kind(id) != Kind::Object) return false;
    const Object& object = graph_.object(id);
    const auto args = graph_.items(object.args);
    const pickle::Global& global = graph_.global(object.callable);
    if (global.module != "numpy" || global.name != "dtype" || args.empty() || graph_.kind(args[0]) != Kind::Str) {
      return false;
    }
    array_.type = graph_.text(args[0]);
    array_.dtype = numpy_dtype(array_.type);
    if (object.state == kNoNode || graph_.kind(object.state) != Kind::Tuple) return true;
    const auto state = graph_.items(object.state);
    array_.big_endian = state.size() > 1 && graph_.kind(state[1]) == Kind::Str && graph_.text(state[1]) == ">";
    return true;
  }

  bool read_shape(NodeId id) {
    if (graph_.kind(id) != Kind::Tuple) return false;
    for (const NodeId size : graph_.items(id)) {
      if (graph_.kind(size) != Kind::Int || graph_.integer(size) < 0) return false;
      array_.shape.push_back(graph_.integer(size));
    }
    return true;
  }

  // Bytes, or the call of _codecs.encode(text, "latin1") that protocol 2 writes for them.
  bool read_bytes(NodeId id) {
    if (graph_.kind(id) == Kind::Bytes) return take(graph_.text(id));
    if (graph_.kind(id) != Kind::Object) return false;
    const Object& object = graph_.object(id);
    const pickle::Global& global = graph_.global(object.callable);
    const auto args = graph_.items(object.args);
    if (global.name == "bytearray" && args.size() == 1) {
      return graph_.kind(args[0]) == Kind::Bytes && take(graph_.text(args[0]));
    }
    if (global.name != "encode" || args.size() != 2 || graph_.kind(args[0]) != Kind::Str) return false;
    return take_latin1(graph_.text(args[0]));
  }

  bool take(std::string_view bytes) {
    array_.bytes.resize(bytes.size());
    std::ranges::copy(std::as_bytes(std::span(bytes)), array_.bytes.begin());
    return true;
  }

  // The code points 0 to 255 of UTF-8 text, one byte each.
  bool take_latin1(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto lead = static_cast<unsigned char>(text[i]);
      if (lead < 0x80) {
        array_.bytes.push_back(static_cast<std::byte>(lead));
        continue;
      }
      if ((lead != 0xc2 && lead != 0xc3) || ++i == text.size()) return false;
      array_.bytes.push_back(static_cast<std::byte>((lead & 3) << 6 | (static_cast<unsigned char>(text[i]) & 0x3f)));
    }
    return true;
  }

  const pickle::Graph& graph_;
  NumpyArray array_;
};

template <class T>
std::string number(std::span<const std::byte> bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  char text[40];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return error == std::errc() ? std::string(text, end) : std::string();
}

std::string scalar_text(const NumpyArray& array) {
  std::vector<std::byte> bytes = array.bytes;
  if (bytes.size() != static_cast<std::size_t>(info(*array.dtype).block_bytes)) return {};
  if (array.big_endian) std::ranges::reverse(bytes);
  switch (*array.dtype) {
    case DType::Float32:
      return number<float>(bytes);
    case DType::Float64:
      return number<double>(bytes);
    case DType::Int64:
      return number<std::int64_t>(bytes);
    case DType::Int32:
      return number<std::int32_t>(bytes);
    case DType::Int16:
      return number<std::int16_t>(bytes);
    case DType::UInt64:
      return number<std::uint64_t>(bytes);
    case DType::UInt32:
      return number<std::uint32_t>(bytes);
    case DType::UInt16:
      return number<std::uint16_t>(bytes);
    case DType::UInt8:
      return std::to_string(std::to_integer<int>(bytes[0]));
    case DType::Int8:
      return std::to_string(static_cast<int>(std::to_integer<signed char>(bytes[0])));
    case DType::Bool:
      return bytes[0] == std::byte{0} ? "False" : "True";
    default:
      return {};
  }
}

}  // namespace

std::optional<DType> numpy_dtype(std::string_view code) noexcept {
  if (!code.empty() && std::string_view("<>|=").find(code.front()) != std::string_view::npos) code.remove_prefix(1);
  const auto found = std::ranges::find(kCodes, code, &Code::code);
  return found == kCodes.end() ? std::nullopt : std::optional(found->dtype);
}

std::optional<NumpyArray> numpy_array(const Values& values, NodeId id) {
  return ArrayReader(values).read(id);
}

std::string describe_array(const Values& values, NodeId id) {
  const std::optional<NumpyArray> array = numpy_array(values, id);
  const bool scalar = callable(values.graph().global(values.graph().object(id).callable)) == Callable::ArrayScalar;
  if (!array) return scalar ? "numpy scalar" : "numpy array";
  const std::string type = array->dtype ? std::string(to_string(*array->dtype)) : printable(array->type);
  if (scalar) {
    std::string text = array->dtype ? scalar_text(*array) : "";
    return text.empty() ? "numpy scalar " + type : text;
  }
  std::string shape;
  for (const std::int64_t size : array->shape) shape += (shape.empty() ? "" : ", ") + std::to_string(size);
  return "numpy array " + type + " [" + shape + "]";
}

}  // namespace mq::formats::torch
