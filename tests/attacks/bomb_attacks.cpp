// Small pickles that mean something enormous, or take long to find out what they mean.
#include <string>

#include "formats/limits.hpp"
#include "tests/attacks/attack.hpp"

namespace mq::attacks {
namespace {

using test::PickleBuilder;

constexpr int kLevels = 60;
constexpr int kDeep = 50'000;
constexpr std::size_t kFlood = 500'000;

// What lies on top becomes [x, x], `kLevels` times: 2^kLevels paths through a few hundred bytes.
void double_lists(PickleBuilder& p) {
  for (std::uint32_t i = 0; i < kLevels; ++i) {
    const std::uint32_t slot = 1000 + i;
    p.put(slot).raw("0").empty_list().get(slot).append().get(slot).append();
  }
}

void double_tuples(PickleBuilder& p) {
  for (int i = 0; i < kLevels; ++i) p.raw("2\x86");
}

void double_dicts(PickleBuilder& p) {
  for (std::uint32_t i = 0; i < kLevels; ++i) {
    const std::uint32_t slot = 1000 + i;
    p.put(slot).raw("0").empty_dict().text("a").get(slot).setitem().text("b").get(slot).setitem();
  }
}

void double_calls(PickleBuilder& p) {
  for (std::uint32_t i = 0; i < kLevels; ++i) {
    const std::uint32_t slot = 1000 + i;
    p.put(slot).raw("0").global("m", "n").get(slot).get(slot).raw("\x86R");
  }
}

void add_memo_bombs(Attacks& attacks) {
  struct Kind {
    const char* name;
    void (*double_up)(PickleBuilder&);
  };
  for (const Kind& kind : {Kind{"lists", double_lists}, Kind{"tuples", double_tuples}, Kind{"dicts", double_dicts},
                           Kind{"calls", double_calls}}) {
    PickleBuilder beside = good_dict(), around, inside = good_dict();
    beside.text("bomb").none();
    kind.double_up(beside);
    attacks.add_pickle(std::string("memo-beside-") + kind.name, beside.setitem());
    kind.double_up(around.proto().vector("0", 6));
    attacks.add_pickle(std::string("memo-around-a-tensor-") + kind.name, around);
    attacks.add_pickle(std::string("memo-around-a-tensor-all-") + kind.name, around, {.root = "."});
    kind.double_up(inside.text("bomb").vector("1", 6));
    attacks.add_pickle(std::string("memo-left-out-") + kind.name, inside.setitem(), {.root = "w"});
  }
}

PickleBuilder repeated(std::string_view before, std::size_t times, std::string_view inside, std::string_view after) {
  PickleBuilder p;
  p.proto();
  for (std::size_t i = 0; i < times; ++i) p.raw(before);
  p.raw(inside);
  for (std::size_t i = 0; i < times; ++i) p.raw(after);
  return p;
}

void add_nesting(Attacks& attacks) {
  PickleBuilder t;
  const std::string tensor = t.vector("0", 6).bytes();
  const std::string key("X\x01\x00\x00\x00k", 6);
  const OpenOptions all{.root = "."};
  attacks.add_pickle("deep-lists", repeated("]", kDeep, tensor, "a"), all);
  attacks.add_pickle("deep-lists-by-rules", repeated("]", kDeep, tensor, "a"));
  attacks.add_pickle("deep-lists-just-too-deep", repeated("]", Limits{}.depth + 1, tensor, "a"), all);
  attacks.add_pickle("deep-lists-just-deep-enough", repeated("]", Limits{}.depth, tensor, "a"), all);
  attacks.add_pickle("deep-tuples", repeated("", kDeep, tensor, "\x85"), all);
  attacks.add_pickle("deep-dicts", repeated("}" + key, kDeep, tensor, "s"), all);
  attacks.add_pickle("deep-calls", repeated("cm\nn\n", kDeep, tensor, "\x85R"), all);
  attacks.add_pickle("deep-states", repeated("cm\nn\n)R", kDeep, tensor, "b"), all);
  attacks.add_pickle("deep-marks", repeated("(", kDeep, tensor, "t"), all);
  attacks.add_pickle("deep-sizes", repeated("ctorch\nSize\n", kDeep, tensor, "\x85R"), all);
  attacks.add_pickle("deep-parameters", repeated("ctorch._utils\n_rebuild_parameter\n(", 1000, tensor, "\x88NtR"));
  attacks.add_pickle("deep-persistent-ids", repeated("", kDeep, tensor, "Q"), all);
  attacks.add_pickle("deep-without-tensors", good_dict_with(repeated("]", kDeep, "N", "a").bytes().substr(2)));
}

void add_floods(Attacks& attacks) {
  attacks.add_pickle("flood-marks", repeated("(", kFlood, "", ""));
  attacks.add_pickle("flood-dup", repeated("", kFlood, "N", "2"));
  attacks.add_pickle("flood-tuples", repeated(")", kFlood, "", ""));
  attacks.add_pickle("flood-memoize", good_dict_with("N" + std::string(kFlood, '\x94')));
  PickleBuilder sparse = good_dict(), keys = good_dict(), names, twice, lists;
  sparse.text("x").none();
  for (std::uint32_t i = 0; i < formats::kMaxSparseMemo / 4; ++i) sparse.raw("q\xff");
  attacks.add_pickle("flood-put", sparse.put(0xffffffff).setitem());
  for (int i = 0; i < 100'000; ++i) keys.text(std::to_string(i)).none().setitem();
  attacks.add_pickle("flood-keys", keys);
  // One tensor under more names than the pickle has bytes for.
  names.proto().empty_list().put(1).vector("0", 6).put(2).raw("0");
  for (int i = 0; i < 100; ++i) names.get(2).append();
  names.raw("0").empty_list().put(3);
  for (int i = 0; i < 100; ++i) names.get(1).append();
  attacks.add_pickle("flood-names", names, {.root = "."});
  // Keys that are long and shared: their texts add up to much more than the file.
  twice.proto().text(std::string(20'000, 'k')).put(1).raw("0").vector("0", 6).put(2).raw("0");
  twice.empty_dict().put(3);
  for (int i = 0; i < 150; ++i) twice.integer(i).get(2).setitem();
  for (int i = 0; i < 40; ++i)
    twice.put(100 + static_cast<std::uint32_t>(i))
        .raw("0")
        .empty_dict()
        .get(1)
        .get(100 + static_cast<std::uint32_t>(i))
        .setitem();
  attacks.add_pickle("flood-of-name-bytes", twice, {.root = "."});
}

// Values that are large and that many calls share.
void add_shared(Attacks& attacks) {
  const auto shared = [](const char* call, std::string_view after_each, int items) {
    PickleBuilder p = good_dict();
    p.text("big").mark();
    for (int i = 0; i < items; ++i) p.integer(i).raw(after_each);
    p.tuple().put(7).raw("0").mark().get(7).tuple().put(8).setitem().text("all").mark();
    for (int i = 0; i < 20'000; ++i) p.raw(call).get(8).reduce();
    return p.tuple().setitem();
  };
  attacks.add_pickle("shared-sizes", shared("ctorch\nSize\n", "", 20'000));
  attacks.add_pickle("shared-dicts", shared("ccollections\nOrderedDict\n", "N\x86", 10'000));
  attacks.add_pickle("shared-sets", shared("cbuiltins\nset\n", "", 20'000));
  PickleBuilder cycle = good_dict(), wrapped;
  cycle.put(1).text("self").get(1).setitem().text("list").empty_list().put(2).get(2).append().get(1).append();
  attacks.add_pickle("cycle", cycle.setitem(), {.root = "."});
  // A parameter whose tensor is itself.
  wrapped.proto().empty_dict().text("w").global("torch._utils", "_rebuild_parameter").mark().empty_list().put(1);
  wrapped.boolean(true).none().tuple().reduce().put(2).get(1).get(2).append().raw("0").setitem();
  attacks.add_pickle("cycle-of-a-parameter", wrapped);
}

}  // namespace

std::vector<Attack> bomb_attacks() {
  Attacks attacks("bomb");
  add_memo_bombs(attacks);
  add_nesting(attacks);
  add_floods(attacks);
  add_shared(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
