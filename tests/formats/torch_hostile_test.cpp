#include <doctest/doctest.h>

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

// Nested pairs [x, x], `levels` of them: 2^levels paths through a few hundred bytes.
void add_bomb(PickleBuilder& p, int levels) {
  for (int i = 0; i < levels; ++i) {
    const auto slot = static_cast<std::uint32_t>(1000 + i);
    p.put(slot).raw("0").empty_list().get(slot).append().get(slot).append();
  }
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

TEST_CASE("hostile: a memo bomb of 60 levels costs a visit for each value, not for each path") {
  PickleBuilder bomb;
  bomb.proto().empty_dict().text("w").vector("0", 6).setitem().text("bomb").integer(1);
  add_bomb(bomb, 60);
  bomb.setitem();
  namespace torch = formats::torch;
  const std::string bytes = bomb.bytes() + ".";
  const formats::pickle::Pickle pickle = formats::pickle::parse(std::as_bytes(std::span(bytes)), "p");
  torch::Values values(pickle.graph, "p", Limits{});
  torch::VisitBudget budget("p", Limits{});
  const torch::Census census(values, pickle.root, budget);
  CHECK(census.tensors_below(pickle.root) == 1);
  CHECK(budget.spent() < 300);
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
