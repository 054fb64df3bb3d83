// Pickles that would run code in Python.
#include <string>

#include "tests/attacks/attack.hpp"

namespace mq::attacks {
namespace {

using test::PickleBuilder;

// A call of module.name("touch /tmp/owned"), left on the stack.
std::string call(std::string_view module, std::string_view name) {
  PickleBuilder p;
  return p.global(module, name).mark().text("touch /tmp/owned").tuple().reduce().bytes();
}

void add_names(Attacks& attacks) {
  struct Name {
    const char* module;
    const char* name;
  };
  for (const Name& n : {Name{"os", "system"},
                        Name{"posix", "system"},
                        Name{"nt", "system"},
                        Name{"subprocess", "Popen"},
                        Name{"builtins", "eval"},
                        Name{"__builtin__", "exec"},
                        Name{"builtins", "__import__"},
                        Name{"builtins", "open"},
                        Name{"importlib", "import_module"},
                        Name{"runpy", "_run_code"},
                        Name{"socket", "create_connection"},
                        Name{"ctypes", "CDLL"},
                        Name{"pty", "spawn"},
                        Name{"webbrowser", "open"},
                        Name{"shutil", "rmtree"},
                        Name{"sys", "exit"},
                        Name{"pickle", "loads"},
                        Name{"marshal", "loads"},
                        Name{"code", "interact"},
                        Name{"xml.dom", "anything"}}) {
    const std::string name = std::string(n.module) + "." + n.name;
    attacks.add_pickle("reduce-" + name, good_dict_with(call(n.module, n.name)));
  }
  attacks.add_pickle("dotted-name", good_dict_with(call("torch.serialization", "os.system")));
  attacks.add_pickle("dotted-name-deep", good_dict_with(call("torch", "serialization.os.system")));
  // Names of other packages are kept as data: nothing is there that could call them.
  attacks.add_pickle("foreign-torch-jit-load", good_dict_with(call("torch.jit", "load")));
  attacks.add_pickle("foreign-torch-hub-load", good_dict_with(call("torch.hub", "load")));
  attacks.add_pickle("foreign-numpy-runstring", good_dict_with(call("numpy.testing._private.utils", "runstring")));
  attacks.add_pickle("foreign-pip-main", good_dict_with(call("pip", "main")));
  attacks.add_pickle("foreign-strict", good_dict_with(call("pip", "main")), {.strict = true});
  attacks.add_pickle("name-only-mentioned", good_dict_with("cos\nsystem\n"));
}

void add_opcodes(Attacks& attacks) {
  attacks.add_pickle("inst", good_dict_with("(S'id'\nios\nsystem\n"));
  attacks.add_pickle("obj", good_dict_with("(cos\nsystem\no"));
  attacks.add_pickle("newobj", good_dict_with("cos\nsystem\n)\x81"));
  attacks.add_pickle("newobj-ex", good_dict_with("cos\nsystem\n)}\x92"));
  attacks.add_pickle("build", good_dict_with("cos\nsystem\n)\x81}b"));
  attacks.add_pickle("stack-global", good_dict_with("\x8c\x02os\x8c\x06system\x93)R"));
  attacks.add_pickle("memoized-global", good_dict_with("cos\nsystem\nq\x07"
                                                       "0h\x07)R"));
  attacks.add_pickle("ext1", good_dict_with("\x82\x01"));
  attacks.add_pickle("ext2", good_dict_with(std::string("\x83\x01\x00", 3)));
  attacks.add_pickle("ext4", good_dict_with(std::string("\x84\x01\x00\x00\x00", 5)));
  attacks.add_pickle("next-buffer", good_dict_with("\x97"));
  attacks.add_pickle("readonly-buffer", good_dict_with("N\x98"));
  attacks.add_pickle("call-of-a-call", good_dict_with("c__builtin__\ngetattr\nctorch\nhub\nS'load'\n\x86R)R"));
  attacks.add_pickle("call-of-a-number", good_dict_with("K\x01)R"));
  attacks.add_pickle("call-of-a-text", good_dict_with("S'os.system'\n)R"));
  attacks.add_pickle("partial", good_dict_with("cfunctools\npartial\ncos\nsystem\n\x85R"));
  attacks.add_pickle("defaultdict", good_dict_with("ccollections\ndefaultdict\ncos\nsystem\n\x85R"));
  attacks.add_pickle("reconstructor", good_dict_with("ccopyreg\n_reconstructor\ncos\nsystem\nNN\x87R"));
  attacks.add_pickle("map", good_dict_with("c__builtin__\nmap\ncos\nsystem\n]\x86R"));
  attacks.add_pickle("apply", good_dict_with("c__builtin__\napply\ncos\nsystem\n)\x86R"));
}

void add_places(Attacks& attacks) {
  const std::string evil = call("os", "system");
  PickleBuilder root, dropped = good_dict(), key = good_dict(), hooks, numel;
  attacks.add_pickle("at-the-root", root.proto().raw(evil));
  attacks.add_pickle("result-thrown-away", dropped.raw(evil).raw("0"));
  attacks.add_pickle("as-a-key", key.raw(evil).none().setitem());
  hooks.proto().empty_dict().text("w").global("torch._utils", "_rebuild_tensor_v2").mark().storage({.numel = 6});
  hooks.integer(0).integers({6}).integers({1}).boolean(false).raw(evil).tuple().reduce().setitem();
  attacks.add_pickle("as-backward-hooks", hooks);
  numel.proto().empty_dict().text("w").global("torch._utils", "_rebuild_tensor_v2").mark();
  numel.mark().text("storage").global("torch", "FloatStorage").text("0").text("cpu").raw(evil).tuple().raw("Q");
  numel.integer(0).integers({6}).integers({1}).boolean(false).none().tuple().reduce().setitem();
  attacks.add_pickle("as-length-of-a-storage", numel);
  attacks.add_pickle("inside-state", good_dict_with("c__main__\nNet\n)\x81}S'a'\n" + evil + "sb"));
  attacks.add_pickle("inside-a-set", good_dict_with("\x8f(" + evil + "\x90"));

  const std::string good = good_dict().bytes() + ".";
  const std::vector<std::string> storages{test::float_bytes(6)};
  attacks.add_torch("after-stop", {.pickle = good + evil + ".", .storages = storages});
  attacks.add_torch("after-stop-one-byte", {.pickle = good + "N", .storages = storages});
  test::ZipBuilder zip;
  zip.add("m/data.pkl", good).add("m/data/0", storages[0]).add("m/version", "3\n");
  zip.add("m/other.pkl", "\x80\x02" + evil + ".");
  attacks.add("in-another-record", zip.finish());
}

}  // namespace

std::vector<Attack> call_attacks() {
  Attacks attacks("call");
  add_names(attacks);
  add_opcodes(attacks);
  add_places(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
