// The stack machine behind parse(): one member function per opcode or family of opcodes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/pickle.hpp"
#include "formats/pickle_listing.hpp"
#include "formats/pickle_memo.hpp"
#include "mq/error.hpp"

namespace mq::formats::pickle {

class Machine {
 public:
  // Refuse: what has no place in a checkpoint ends the run. List: it goes on wherever Python would, and notes it.
  enum class Policy : std::uint8_t { Refuse, List };

  Machine(std::span<const std::byte> bytes, std::string_view source, const Limits& limits,
          Policy policy = Policy::Refuse);
  Pickle run() &&;
  Listing list() &&;

  // Whether what made run() fail was that the bytes ended.
  bool ran_out() const noexcept { return ran_out_; }

 private:
  using Handler = void (Machine::*)();
  static std::array<Handler, 256> make_handlers();

  // Operands.
  std::string_view take(std::uint64_t size_bytes);
  template <class T>
  T take_integer();
  template <class Length>
  std::string_view take_counted();
  std::string_view take_line();

  // Stack. What lies below the newest mark cannot be reached.
  void push(NodeId id);
  NodeId pop();
  NodeId top();
  void push_mark();
  std::size_t frame() const { return marks_.empty() ? 0 : marks_.back(); }
  std::span<const NodeId> since_mark();
  void drop_to_mark();

  // Values.
  template <class Payload>
  NodeId add(Kind kind, Payload payload);
  NodeId add_tuple(std::span<const NodeId> items);
  NodeId add_growing(Kind kind, std::span<const NodeId> items);
  NodeId add_global(std::string_view module, std::string_view name);
  void push_integer(std::int64_t value) { push(add(Kind::Int, value)); }
  void push_text(std::string decoded);
  void push_python2_text(std::string_view bytes);
  void push_long(std::string_view little_endian);
  void push_global(std::string_view module, std::string_view name);
  Object& push_object(NodeId callable, NodeId args);
  void require(NodeId id, Kind kind, const char* what);
  bool lists() const noexcept { return policy_ == Policy::List; }
  void note_change(NodeId target, NodeId value) {
    if (lists()) changes_.push_back({static_cast<std::uint32_t>(opcode_at_), target, value});
  }
  void memoize(std::uint64_t index);
  void recall(std::uint64_t index);
  std::uint64_t memo_index_line();
  void add_entries(NodeId container, std::span<const NodeId> keys_and_values);
  void add_items(NodeId container, std::span<const NodeId> items, Kind plain);

  // Opcodes.
  void run_opcodes();
  void op_proto();
  void op_frame();
  void op_stop();
  void op_mark() { push_mark(); }
  void op_pop();
  void op_pop_mark() { drop_to_mark(); }
  void op_dup() { push(top()); }
  void op_none() { push(add(Kind::None, std::int64_t{0})); }
  template <bool value>
  void op_bool() {
    push(add(Kind::Bool, std::int64_t{value}));
  }
  template <class T>
  void op_int() {
    push_integer(take_integer<T>());
  }
  template <class Length>
  void op_long_bytes() {
    push_long(take_counted<Length>());
  }
  void op_binfloat();
  void op_int_line();
  void op_long_line();
  void op_float_line();
  template <class Length, Kind kind>
  void op_counted() {
    push(add(kind, take_counted<Length>()));
  }
  template <class Length>
  void op_python2_counted() {
    push_python2_text(take_counted<Length>());
  }
  void op_unicode_line();
  void op_string_line();
  [[noreturn]] void refuse_opcode() const;
  template <class Code>
  void op_extension();
  void op_next_buffer();
  void op_readonly_buffer();
  template <Kind kind>
  void op_empty() {
    push(add_growing(kind, {}));
  }
  template <Kind kind>
  void op_collect();
  template <std::size_t count>
  void op_tuple_of();
  void op_tuple();
  void op_append();
  void op_appends();
  void op_setitem();
  void op_setitems();
  void op_additems();
  void op_global();
  void op_stack_global();
  void op_inst();
  void op_obj();
  void op_reduce();
  void op_newobj();
  void op_newobj_ex();
  void op_build();
  void op_persid_line();
  void op_binpersid();
  template <class T>
  void op_put() {
    memoize(take_integer<T>());
  }
  void op_put_line() { memoize(memo_index_line()); }
  void op_memoize() { memoize(memo_.size()); }
  template <class T>
  void op_get() {
    recall(take_integer<T>());
  }
  void op_get_line() { recall(memo_index_line()); }

  [[noreturn]] void fail(ErrorCode code, std::string message, std::string expected = {}, std::string found = {}) const;
  [[noreturn]] void corrupt(std::string message, std::string expected = {}, std::string found = {}) const {
    fail(ErrorCode::Corrupt, std::move(message), std::move(expected), std::move(found));
  }
  [[noreturn]] void refuse(std::uint64_t Limits::*limit, std::string message, std::uint64_t found) const;

  std::string_view bytes_;
  std::string_view source_;
  Limits limits_;
  Policy policy_;
  std::size_t position_ = 0;   // of the next byte to read
  std::size_t opcode_at_ = 0;  // of the opcode being carried out
  bool stopped_ = false;
  bool ran_out_ = false;
  Graph graph_;
  Memo memo_;
  std::vector<NodeId> stack_;
  std::vector<std::uint32_t> marks_;  // heights of the stack
  std::vector<Change> changes_;       // of a listing
};

}  // namespace mq::formats::pickle
