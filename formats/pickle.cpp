// Opcodes of numbers, texts and the stack, the table that finds all opcodes, and the loop that carries them out; those
// of objects are in pickle_objects.cpp.
#include "formats/pickle.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "formats/limits.hpp"
#include "formats/pickle_machine.hpp"
#include "formats/pickle_text.hpp"

namespace mq::formats::pickle {
namespace {

constexpr std::uint8_t kLastProtocol = 5;

std::string hex_byte(std::uint8_t byte) {
  constexpr char kHex[] = "0123456789abcdef";
  return {'0', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

}  // namespace

template <class T>
T Machine::take_integer() {
  T value;
  std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
  return value;
}

template <class Length>
std::string_view Machine::take_counted() {
  const auto length = take_integer<Length>();
  if (std::cmp_less(length, 0)) corrupt("negative length " + std::to_string(length));
  return take(static_cast<std::uint64_t>(length));
}

void Machine::op_proto() {
  const auto protocol = take_integer<std::uint8_t>();
  if (protocol > kLastProtocol) {
    fail(ErrorCode::Unsupported, "pickle protocol", "0 to " + std::to_string(kLastProtocol), std::to_string(protocol));
  }
}

void Machine::op_frame() {
  const auto length = take_integer<std::uint64_t>();
  const std::size_t left = bytes_.size() - position_;
  if (length > left)
    corrupt("frame reaches beyond the end of the pickle", std::to_string(left), std::to_string(length));
}

void Machine::op_stop() {
  // Python takes the top of the stack, whatever lies below.
  if (lists() ? stack_.size() > frame() : marks_.empty() && stack_.size() == 1) {
    stopped_ = true;
    return;
  }
  corrupt("STOP with a stack that does not hold just the result", "1 value",
          std::to_string(stack_.size()) + " values, " + std::to_string(marks_.size()) + " marks");
}

void Machine::op_pop() {
  if (!marks_.empty() && marks_.back() == stack_.size()) {
    marks_.pop_back();
  } else {
    pop();
  }
}

void Machine::op_binfloat() {
  // The one big-endian operand of the format.
  std::uint64_t bits = 0;
  for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
  push(add(Kind::Float, std::bit_cast<double>(bits)));
}

void Machine::op_int_line() {
  const std::string_view line = take_line();
  if (line == "00" || line == "01") {
    push(add(Kind::Bool, std::int64_t{line == "01"}));
  } else if (!is_decimal(line)) {
    if (lists()) return push_integer(0);  // Python reads other bases too
    corrupt("INT is not a number");
  } else if (const auto value = decimal_value(line)) {
    push_integer(*value);
  } else {
    push(add(Kind::BigInt, line.size() <= kMaxDigits ? line : std::string_view()));
  }
}

void Machine::op_long_line() {
  std::string_view line = take_line();
  if (line.ends_with('L')) line.remove_suffix(1);
  if (!is_decimal(line)) {
    if (lists()) return push_integer(0);
    corrupt("LONG is not a number");
  }
  if (const auto value = decimal_value(line)) {
    push_integer(*value);
  } else {
    push(add(Kind::BigInt, line.size() <= kMaxDigits ? line : std::string_view()));
  }
}

void Machine::op_float_line() {
  const std::optional<double> value = float_value(take_line());
  if (!value && !lists()) corrupt("FLOAT is not a number");
  push(add(Kind::Float, value.value_or(0)));
}

void Machine::op_unicode_line() {
  std::optional<std::string> text = decode_raw_unicode(take_line());
  if (!text) corrupt("UNICODE with a malformed escape");
  push_text(std::move(*text));
}

void Machine::op_string_line() {
  std::optional<std::string> text = decode_string_literal(take_line());
  if (!text) corrupt("STRING that is not a quoted literal");
  push_text(std::move(*text));
}

void Machine::refuse_opcode() const {
  fail(ErrorCode::Unsupported, "opcode " + hex_byte(static_cast<std::uint8_t>(bytes_[opcode_at_])) +
                                   ": registered extensions and out-of-band buffers are not read");
}

// A number under which the loading program has registered a class or a function of its own.
template <class Code>
void Machine::op_extension() {
  if (!lists()) refuse_opcode();
  graph_.decoded_.push_back(std::to_string(take_integer<Code>()));
  push_global(kExtension, graph_.decoded_.back());
}

void Machine::op_next_buffer() {
  if (!lists()) refuse_opcode();
  push(add(Kind::Bytes, std::string_view()));
}

void Machine::op_readonly_buffer() {
  if (!lists()) refuse_opcode();
  top();
}

template <Kind kind>
void Machine::op_collect() {
  const std::span<const NodeId> items = since_mark();
  if (kind == Kind::Dict && items.size() % 2 != 0) corrupt("a key without a value");
  const NodeId id = add_growing(kind, items);
  drop_to_mark();
  push(id);
}

template <std::size_t count>
void Machine::op_tuple_of() {
  std::array<NodeId, count> items;
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  push(add_tuple(items));
}

std::array<Machine::Handler, 256> Machine::make_handlers() {
  using M = Machine;
  using std::int32_t, std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t;
  std::array<Handler, 256> t{};
  t[0x80] = &M::op_proto, t[0x95] = &M::op_frame, t['.'] = &M::op_stop;
  t['('] = &M::op_mark, t['0'] = &M::op_pop, t['1'] = &M::op_pop_mark, t['2'] = &M::op_dup;
  t['N'] = &M::op_none, t[0x88] = &M::op_bool<true>, t[0x89] = &M::op_bool<false>;
  t['K'] = &M::op_int<uint8_t>, t['M'] = &M::op_int<uint16_t>, t['J'] = &M::op_int<int32_t>;
  t[0x8a] = &M::op_long_bytes<uint8_t>, t[0x8b] = &M::op_long_bytes<int32_t>;
  t['G'] = &M::op_binfloat, t['I'] = &M::op_int_line, t['L'] = &M::op_long_line, t['F'] = &M::op_float_line;
  t['X'] = &M::op_counted<uint32_t, Kind::Str>, t[0x8c] = &M::op_counted<uint8_t, Kind::Str>;
  t[0x8d] = &M::op_counted<uint64_t, Kind::Str>, t['V'] = &M::op_unicode_line;
  t['T'] = &M::op_python2_counted<int32_t>, t['U'] = &M::op_python2_counted<uint8_t>, t['S'] = &M::op_string_line;
  t['B'] = &M::op_counted<uint32_t, Kind::Bytes>, t['C'] = &M::op_counted<uint8_t, Kind::Bytes>;
  t[0x8e] = t[0x96] = &M::op_counted<uint64_t, Kind::Bytes>;
  t[0x82] = &M::op_extension<uint8_t>, t[0x83] = &M::op_extension<uint16_t>, t[0x84] = &M::op_extension<int32_t>;
  t[0x97] = &M::op_next_buffer, t[0x98] = &M::op_readonly_buffer;
  t[']'] = &M::op_empty<Kind::List>, t['l'] = &M::op_collect<Kind::List>;
  t['a'] = &M::op_append, t['e'] = &M::op_appends;
  t[')'] = &M::op_tuple_of<0>, t[0x85] = &M::op_tuple_of<1>, t[0x86] = &M::op_tuple_of<2>;
  t[0x87] = &M::op_tuple_of<3>, t['t'] = &M::op_tuple;
  t['}'] = &M::op_empty<Kind::Dict>, t['d'] = &M::op_collect<Kind::Dict>;
  t['s'] = &M::op_setitem, t['u'] = &M::op_setitems;
  t[0x8f] = &M::op_empty<Kind::Set>, t[0x90] = &M::op_additems, t[0x91] = &M::op_collect<Kind::Set>;
  t['c'] = &M::op_global, t[0x93] = &M::op_stack_global, t['i'] = &M::op_inst, t['o'] = &M::op_obj;
  t['R'] = &M::op_reduce, t[0x81] = &M::op_newobj, t[0x92] = &M::op_newobj_ex, t['b'] = &M::op_build;
  t['Q'] = &M::op_binpersid, t['P'] = &M::op_persid_line;
  t['q'] = &M::op_put<uint8_t>, t['r'] = &M::op_put<uint32_t>, t['p'] = &M::op_put_line, t[0x94] = &M::op_memoize;
  t['h'] = &M::op_get<uint8_t>, t['j'] = &M::op_get<uint32_t>, t['g'] = &M::op_get_line;
  return t;
}

Machine::Machine(std::span<const std::byte> bytes, std::string_view source, const Limits& limits, Policy policy)
    : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
      source_(source),
      limits_(limits),
      policy_(policy) {}

void Machine::run_opcodes() {
  static const std::array<Handler, 256> kHandlers = make_handlers();
  if (bytes_.size() > limits_.header_bytes) refuse(&Limits::header_bytes, "bytes of a pickle", bytes_.size());
  while (!stopped_) {
    opcode_at_ = position_;
    if (position_ == bytes_.size()) {
      ran_out_ = true;
      corrupt("pickle ends without STOP");
    }
    const auto opcode = static_cast<std::uint8_t>(bytes_[position_++]);
    const Handler handler = kHandlers[opcode];
    if (handler == nullptr) corrupt("unknown opcode " + hex_byte(opcode));
    (this->*handler)();
  }
}

Pickle Machine::run() && {
  run_opcodes();
  return {std::move(graph_), stack_.front(), position_};
}

Listing Machine::list() && {
  Listing listing;
  try {
    run_opcodes();
    listing.pickle.root = stack_.back();
  } catch (const Error& error) {
    listing.stopped = error;
  }
  listing.ran_out = ran_out_;
  listing.pickle.graph = std::move(graph_);
  listing.pickle.size_bytes = listing.stopped ? opcode_at_ : position_;
  listing.changes = std::move(changes_);
  return listing;
}

Pickle parse(std::span<const std::byte> bytes, std::string_view source, const Limits& limits) {
  return Machine(bytes, source, limits).run();
}

Listing list(std::span<const std::byte> bytes, std::string_view source, const Limits& limits) {
  return Machine(bytes, source, limits, Machine::Policy::List).list();
}

std::optional<std::size_t> size_of_first(std::span<const std::byte> bytes, std::string_view source,
                                         const Limits& limits, bool complete) {
  Machine machine(bytes, source, limits);
  try {
    return std::move(machine).run().size_bytes;
  } catch (const Error&) {
    if (complete || !machine.ran_out()) throw;
    return std::nullopt;
  }
}

}  // namespace mq::formats::pickle
