#include <doctest/doctest.h>

#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "formats/limits.hpp"
#include "formats/pickle.hpp"
#include "formats/torch_census.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using test::PickleBuilder;
using test::torch_error;

namespace {

// {"w": a good tensor} and whatever add does to the open dict.
PickleBuilder state_dict_with(const std::function<void(PickleBuilder&)>& add) {
  PickleBuilder p;
  p.proto().empty_dict().text("w").vector("0", 6).setitem();
  add(p);
  return p;
}

// {"w": a tensor of these arguments}.
PickleBuilder one_tensor(const PickleBuilder::Storage& storage, std::int64_t offset,
                         std::initializer_list<std::int64_t> size, std::initializer_list<std::int64_t> stride) {
  PickleBuilder p;
  return p.proto().empty_dict().text("w").tensor(storage, offset, size, stride).setitem();
}

// Nested pairs [x, x], `levels` of them: 2^levels paths through a few hundred bytes.
void add_bomb(PickleBuilder& p, int levels) {
  for (int i = 0; i < levels; ++i) {
    const auto slot = static_cast<std::uint32_t>(1000 + i);
    p.put(slot).raw("0").empty_list().get(slot).append().get(slot).append();
  }
}

// Of processor time, so that a busy machine does not fail a test.
template <class Body>
long milliseconds(Body&& body) {
  const std::clock_t start = std::clock();
  body();
  return static_cast<long>((std::clock() - start) / (CLOCKS_PER_SEC / 1000));
}

}  // namespace

TEST_CASE("hostile: a call into Python's library refuses the file wherever it stands, with its name and offset") {
  const auto call = [](const char* module, const char* name) {
    return [=](PickleBuilder& p) { p.global(module, name).mark().text("touch /tmp/owned").tuple().reduce(); };
  };
  struct Name {
    const char* module;
    const char* name;
    const char* shown;
  };
  for (const Name& name : std::vector<Name>{{"os", "system", "os.system"},
                                            {"posix", "system", "posix.system"},
                                            {"nt", "system", "nt.system"},
                                            {"subprocess", "Popen", "subprocess.Popen"},
                                            {"builtins", "eval", "builtins.eval"},
                                            {"__builtin__", "exec", "builtins.exec"},
                                            {"builtins", "__import__", "builtins.__import__"},
                                            {"importlib", "import_module", "importlib.import_module"},
                                            {"runpy", "_run_code", "runpy._run_code"},
                                            {"torch.serialization", "os.system", "torch.serialization.os.system"},
                                            {"xml.dom", "anything", "xml.dom.anything"}}) {
    CAPTURE(name.shown);
    const auto add = call(name.module, name.name);
    PickleBuilder root;
    add(root.proto());
    const std::vector<PickleBuilder> files{
        root, state_dict_with([&](PickleBuilder& p) { add(p.text("evil")), p.setitem(); }),
        state_dict_with([&](PickleBuilder& p) { add(p), p.raw("0"); }),  // the result is thrown away
    };
    for (const PickleBuilder& file : files) {
      const auto error = torch_error(file);
      REQUIRE(error);
      CHECK(error->code() == ErrorCode::Unsupported);
      CHECK(error->details().message == std::string("global ") + name.shown + " is not allowed");
      CHECK(error->details().offset.has_value());
      CHECK(std::string(error->what()).find("m.pt: data.pkl @") != std::string::npos);
      CHECK(error->details().hint.find("nothing was executed") != std::string::npos);
    }
  }
}

TEST_CASE("hostile: INST, OBJ, NEWOBJ, NEWOBJ_EX and BUILD on a forbidden name are refused like REDUCE") {
  for (const char* bytes :
       {"(ios\nsystem\n", "(cos\nsystem\no", "cos\nsystem\n)\x81", "cos\nsystem\n)}\x92", "cos\nsystem\n)\x81}b",
        "cfunctools\npartial\ncos\nsystem\n\x85R", "ccollections\ndefaultdict\ncos\nsystem\n\x85R",
        "ccopyreg\n_reconstructor\ncos\nsystem\nNN\x87R"}) {
    const auto error = torch_error(state_dict_with([&](PickleBuilder& p) { p.text("x").raw(bytes).setitem(); }));
    REQUIRE(error);
    CHECK(error->details().message == "global os.system is not allowed");
  }
  // What getattr would return cannot be called either.
  const auto error = torch_error(state_dict_with([&](PickleBuilder& p) {
    p.text("x").raw("c__builtin__\ngetattr\nctorch\nhub\n").text("load").raw("\x86R)R").setitem();
  }));
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Unsupported);
}

TEST_CASE("hostile: a name that is only mentioned, and a call of another package beside the tensors, are inert") {
  const auto error = torch_error(state_dict_with([](PickleBuilder& p) {
    p.text("name").global("os", "system").setitem();
    p.text("config").global("omegaconf", "DictConfig").mark().text("x").tuple().reduce().setitem();
  }));
  CHECK_FALSE(error);
}

TEST_CASE("hostile: a memo bomb of 60 levels costs a visit for each value, not for each path") {
  PickleBuilder bomb;
  bomb.proto().empty_dict().text("w").vector("0", 6).setitem().text("bomb").integer(1);
  add_bomb(bomb, 60);
  bomb.setitem();
  std::optional<Error> error;
  CHECK(milliseconds([&] { error = torch_error(bomb); }) < 1000);
  CHECK_FALSE(error);

  namespace torch = formats::torch;
  const std::string bytes = bomb.bytes() + ".";
  const formats::pickle::Pickle pickle = formats::pickle::parse(std::as_bytes(std::span(bytes)), "p");
  torch::Values values(pickle.graph, "p", Limits{});
  torch::VisitBudget budget("p", Limits{});
  const torch::Census census(values, pickle.root, budget);
  CHECK(census.tensors_below(pickle.root) == 1);
  CHECK(budget.spent() < 300);
}

TEST_CASE("hostile: a memo bomb with a tensor at its end is refused for its number of tensors") {
  PickleBuilder bomb;
  bomb.proto().vector("0", 6);
  add_bomb(bomb, 60);
  for (const char* root : {"", "."}) {
    std::optional<Error> error;
    CHECK(milliseconds([&] { error = torch_error(bomb, root); }) < 1000);
    // Without a root, the innermost pair has two tensors and is the best part.
    CHECK((error ? error->code() == ErrorCode::Limit : std::string(root).empty()));
  }
}

TEST_CASE("hostile: large values that many objects share cost bounded time") {
  const auto shared = [](const char* kind, const std::function<void(PickleBuilder&)>& fill) {
    PickleBuilder p;
    p.proto().empty_dict().text("w").vector("0", 6).setitem().text("big").mark();
    fill(p);
    p.tuple().put(7).raw("0").mark().get(7).tuple().put(8).setitem().text("all").mark();
    for (int i = 0; i < 20'000; ++i) p.raw(kind).get(8).reduce();
    return p.tuple().setitem();
  };
  const auto numbers = [](PickleBuilder& p) {
    for (int i = 0; i < 20'000; ++i) p.integer(i);
  };
  const auto pairs = [](PickleBuilder& p) {
    for (int i = 0; i < 10'000; ++i) p.integer(i).none().raw("\x86");
  };
  std::optional<Error> error;
  const auto run = [&](const PickleBuilder& p) { CHECK(milliseconds([&] { error = torch_error(p); }) < 10'000); };
  run(shared("ctorch\nSize\n", numbers));
  CHECK(error->code() == ErrorCode::Limit);
  run(shared("ccollections\nOrderedDict\n", pairs));
  CHECK(error->code() == ErrorCode::Limit);
  run(shared("cbuiltins\nset\n", numbers));
  CHECK_FALSE(error);
}

TEST_CASE("hostile: one tensor under more names than the pickle has room for is refused") {
  PickleBuilder p;
  p.proto().empty_list().put(1).vector("0", 6).put(2).raw("0");
  for (int i = 0; i < 100; ++i) p.get(2).append();
  p.raw("0").empty_list().put(3);
  for (int i = 0; i < 100; ++i) p.get(1).append();
  const auto error = torch_error(p, ".");
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Limit);
  CHECK(error->details().message == "too many tensors");
}

TEST_CASE("hostile: containers nested too deeply are refused, as deep as they may be they are read") {
  const auto nested = [](std::size_t depth) {
    PickleBuilder p;
    p.proto();
    for (std::size_t i = 0; i < depth; ++i) p.empty_list();
    p.vector("0", 6);
    for (std::size_t i = 0; i < depth; ++i) p.append();
    return p;
  };
  CHECK_FALSE(torch_error(nested(Limits{}.depth), "."));
  CHECK(torch_error(nested(Limits{}.depth + 1), ".")->code() == ErrorCode::Limit);
  CHECK(torch_error(nested(50'000), ".")->code() == ErrorCode::Limit);
}

TEST_CASE("hostile: cycles end where they come back") {
  PickleBuilder p;
  p.proto().empty_dict().put(1).text("w").vector("0", 6).setitem().text("self").get(1).setitem();
  p.text("list").empty_list().put(2).get(2).append().get(1).append().setitem();
  CHECK(test::torch_names(p, ".") == std::vector<std::string>{"w"});
  // A tensor that wraps itself.
  PickleBuilder wrapped;
  wrapped.proto().empty_dict().text("w").global("torch._utils", "_rebuild_parameter").mark().empty_list().put(1);
  wrapped.boolean(true).none().tuple().reduce().put(2).get(1).get(2).append().raw("0").setitem();
  CHECK(torch_error(wrapped)->code() == ErrorCode::Corrupt);
}

TEST_CASE("hostile: keys that occur twice and names that collide when they are joined are refused") {
  const auto twice = torch_error(state_dict_with([](PickleBuilder& p) { p.text("w").vector("0", 6).setitem(); }));
  REQUIRE(twice);
  CHECK(twice->code() == ErrorCode::Corrupt);
  CHECK(twice->details().found == "w");
  PickleBuilder joined;
  joined.proto().empty_dict().text("a.b").vector("0", 6).setitem();
  joined.text("a").empty_dict().text("b").vector("0", 6).setitem().setitem();
  CHECK(torch_error(joined, ".")->details().message == "two tensors have this name");
  CHECK(torch_error(state_dict_with([](PickleBuilder& p) {
          p.text("\xed\xa0\x80").vector("0", 6).setitem();
        }))->code() == ErrorCode::Corrupt);
}

TEST_CASE("hostile: a storage must be the size of its record and be declared the same way everywhere") {
  CHECK_FALSE(torch_error(one_tensor({.numel = 6}, 0, {6}, {1})));
  for (const std::int64_t numel : {5, 7, 0, 1 << 30}) {
    const auto error = torch_error(one_tensor({.numel = numel}, 0, {1}, {1}));
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().tensor == "w");
  }
  CHECK(torch_error(one_tensor({"FloatStorage", "0", -6}, 0, {1}, {1}))->code() == ErrorCode::Corrupt);
  CHECK(torch_error(one_tensor({"DoubleStorage", "0", std::int64_t{1} << 62}, 0, {1}, {1}))->code() ==
        ErrorCode::Limit);
  CHECK(torch_error(one_tensor({"FloatStorage", "../0", 6}, 0, {6}, {1}))->code() == ErrorCode::Corrupt);
  CHECK(torch_error(one_tensor({"QInt8Storage", "0", 24}, 0, {6}, {1}))->code() == ErrorCode::Unsupported);
  CHECK(torch_error(one_tensor({"Config", "0", 6}, 0, {6}, {1}))->code() == ErrorCode::Corrupt);
  const auto other = torch_error(state_dict_with([](PickleBuilder& p) {
    p.text("v").tensor({"IntStorage", "0", 6}, 0, {6}, {1}).setitem();
  }));
  REQUIRE(other);
  CHECK(other->details().message == "storage 0: declared twice, differently");
}

TEST_CASE("hostile: a view that reaches outside its storage or overflows is refused") {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  CHECK_FALSE(torch_error(one_tensor({.numel = 6}, 5, {1}, {1})));
  CHECK_FALSE(torch_error(one_tensor({.numel = 6}, 0, {3, 1}, {2, kHuge})));
  CHECK_FALSE(torch_error(one_tensor({.numel = 6}, 5, {1 << 20}, {0})));
  for (const PickleBuilder& p :
       {one_tensor({.numel = 6}, 6, {1}, {1}), one_tensor({.numel = 6}, 0, {7}, {1}),
        one_tensor({.numel = 6}, 0, {2}, {6}), one_tensor({.numel = 6}, -1, {1}, {1}),
        one_tensor({.numel = 6}, 0, {-1}, {1}), one_tensor({.numel = 6}, 0, {2}, {-1}),
        one_tensor({.numel = 6}, kHuge, {2}, {kHuge}), one_tensor({.numel = 6}, 0, {5, 5}, {kHuge, kHuge}),
        one_tensor({.numel = 6}, 0, {2, 2}, {1}), one_tensor({.numel = 6}, 0, {}, {1})}) {
    const auto error = torch_error(p);
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
    CHECK(error->details().tensor == "w");
  }
  CHECK(torch_error(one_tensor({.numel = 6}, 0, {kHuge, 4}, {0, 0}))->code() == ErrorCode::Limit);
  CHECK(torch_error(one_tensor({.numel = 6}, 0, {0, kHuge, 4}, {0, 0, 0}))->code() == ErrorCode::Limit);
}

TEST_CASE("hostile: arguments of the wrong type or number, and tensors into which something is stored, are refused") {
  const auto call = [](const std::string& function, const std::string& arguments) {
    PickleBuilder p;
    p.proto().empty_dict().text("w").global("torch._utils", function).raw("(" + arguments + "tR").setitem();
    return torch_error(p);
  };
  PickleBuilder s;
  const std::string storage = s.storage({.numel = 6}).bytes();
  const std::string v2 = "_rebuild_tensor_v2";
  CHECK_FALSE(call(v2, storage + "K\x01(K\x02t(K\x01t\x89N"));
  for (const std::string& arguments :
       {std::string(), storage, "N" + std::string("K\x01(K\x02t(K\x01t\x89N"), storage + "N(K\x02t(K\x01t\x89N",
        storage + "K\x01K\x02(K\x01t\x89N", storage + "K\x01(Nt(K\x01t\x89N", storage + "K\x01(K\x02t(\x89t\x89N",
        storage + "K\x01(K\x02t(K\x01tNN", storage + "K\x01(K\x02t(K\x01t\x89K\x01",
        storage + "K\x01(K\x02t(K\x01t\x89NNN", storage + "K\x01(K\x02t(K\x01t\x89NK\x01",
        std::string("K\x01Q") + "K\x01(K\x02t(K\x01t\x89N",
        std::string("(X\x07\x00\x00\x00storagetQ", 15) + "K\x01(K\x02t(K\x01t\x89N"}) {
    CAPTURE(arguments);
    const auto error = call(v2, arguments);
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
  }
  CHECK(call("_rebuild_parameter", "K\x01\x88N")->code() == ErrorCode::Corrupt);
  CHECK(call("_rebuild_parameter", "N")->code() == ErrorCode::Corrupt);
  CHECK(call("_rebuild_tensor_v3", storage + "K\x01(K\x02t(K\x01t\x89N"
                                             "ctorch\nfloat32\n")
            ->code() == ErrorCode::Corrupt);
  for (const char* store : {"K\x01K\x02s",
                            "K\x01"
                            "a",
                            "}b"}) {
    const auto error =
        torch_error(state_dict_with([&](PickleBuilder& p) { p.text("v").vector("0", 6).raw(store).setitem(); }));
    REQUIRE(error);
    CHECK(error->code() == ErrorCode::Corrupt);
  }
}

TEST_CASE("hostile: what follows the pickle, missing storages and records outside the folder are refused") {
  const std::string pickle = one_tensor({.numel = 6}, 0, {6}, {1}).bytes() + ".";
  const test::TempDir dir;
  const auto code = [&](const std::string& bytes) {
    return test::code_of([&] { open_checkpoint(test::write_file(dir / "m.pt", bytes)); });
  };
  CHECK(code(test::torch_bytes({.pickle = pickle + "cos\nsystem\n.", .storages = {test::float_bytes(6)}})) ==
        ErrorCode::Corrupt);
  CHECK(code(test::torch_bytes({.pickle = pickle})) == ErrorCode::Corrupt);
  const auto archive = [&](std::string_view name) {
    test::ZipBuilder zip;
    zip.add("m/data.pkl", pickle).add("m/data/0", test::float_bytes(6)).add("m/version", "3").add(name, "x");
    return zip.finish();
  };
  CHECK_FALSE(code(archive("m/other")));
  CHECK(code(archive("other/x")) == ErrorCode::Corrupt);
}
