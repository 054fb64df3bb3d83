#include "mq/audit.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/paths.hpp"
#include "tests/support/torch_files.hpp"

using namespace mq;
using namespace mq::test;

namespace {

AuditReport audit_bytes(const std::string& bytes, const Limits& limits = {}) {
  const TempDir dir;
  return audit(write_file(dir / "file", bytes), limits);
}

std::string full_name(const AuditedGlobal& global) {
  return global.module + "." + global.name;
}

// "dangerous REDUCE os.system @12"
std::vector<std::string> calls_of(const AuditReport& report) {
  std::vector<std::string> lines;
  for (const AuditedPickle& pickle : report.pickles) {
    for (const AuditedCall& call : pickle.calls) {
      lines.push_back(std::string(to_string(call.verdict)) + " " + to_string(call.kind) + " " +
                      full_name(pickle.globals[call.global]) + " @" + std::to_string(call.offset));
    }
  }
  return lines;
}

using Lines = std::vector<std::string>;

std::string verdict_of(std::string_view module, std::string_view name) {
  return to_string(audit_bytes(PickleBuilder().proto(4).global(module, name).bytes() + ".").verdict());
}

bool finds(const AuditReport& report, Verdict verdict, std::string_view part) {
  return std::ranges::any_of(report.findings, [&](const AuditFinding& finding) {
    return finding.verdict == verdict && finding.message.find(part) != std::string::npos;
  });
}

const std::string kPayload = "cos\nsystem\n(Vid\ntR.";  // calls os.system
const std::string kPlain = "\x80\x02}.";

}  // namespace

TEST_CASE("every opcode that calls is listed with its offset") {
  using namespace std::string_literals;
  struct Case {
    std::string pickle;
    Lines calls;
  };
  const std::vector<Case> cases{
      {"cos\nsystem\n(Vid\ntR.", {"dangerous REDUCE os.system @17"}},
      {"\x80\x02"s + "cos\nsystem\n)R.", {"dangerous REDUCE os.system @14"}},
      {"\x80\x02"s + "cos\nsystem\n)\x81.", {"dangerous NEWOBJ os.system @14"}},
      {"\x80\x04"s + "cos\nsystem\n)}\x92.", {"dangerous NEWOBJ_EX os.system @15"}},
      {"(Vid\nios\nsystem\n.", {"dangerous INST os.system @5"}},
      {"(cos\nsystem\nVid\no.", {"dangerous OBJ os.system @16"}},
      {"\x80\x04\x8c\x02os\x8c\x06system\x93)R.", {"dangerous REDUCE os.system @16"}},
      {"\x80\x05\x8c\x06system\x94\x30\x8c\x02osh\x00\x93)R."s, {"dangerous REDUCE os.system @20"}},
      {"c__builtin__\napply\n)R.", {"dangerous REDUCE builtins.apply @20"}},
      {"\x80\x02\x82\x11.", {"dangerous EXT (copyreg extension).17 @2"}},
      {"\x80\x02\x83\x11\x00)R."s,
       {"dangerous EXT (copyreg extension).17 @2", "dangerous REDUCE (copyreg extension).17 @6"}},
      {"\x80\x02\x84\x11\x00\x00\x00."s, {"dangerous EXT (copyreg extension).17 @2"}},
      {"cpkg.mod\nC\n)\x81}b.", {"inert NEWOBJ pkg.mod.C @12", "inert BUILD pkg.mod.C @14"}},
      {"cpkg\nC\n}b.", {"dangerous BUILD pkg.C @8"}},
      {"csys\nmodules\nVx\nNs.", {"dangerous SETITEM sys.modules @17"}},
      {"Pelsewhere\n.", {"inert PERSID (persistent id).of unknown form @0"}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.pickle);
    CHECK(calls_of(audit_bytes(c.pickle)) == c.calls);
  }
}

TEST_CASE("calls of computed values are listed, with what computed them") {
  // getattr(builtins, "exec")("...")
  PickleBuilder pickle;
  pickle.global("builtins", "getattr").global("importlib", "import_module").mark().text("builtins").tuple().reduce();
  pickle.text("exec").raw("\x86").reduce().mark().text("1").tuple().reduce();
  const AuditReport report = audit_bytes(std::move(pickle).stop());
  const Lines calls = calls_of(report);
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].starts_with("dangerous REDUCE importlib.import_module"));
  CHECK(calls[1].starts_with("inert REDUCE builtins.getattr"));
  CHECK(calls[2].starts_with("dangerous REDUCE (computed).value"));
  CHECK(report.pickles[0].calls[2].reason == "calls the result of builtins.getattr");
}

TEST_CASE("attributes that lead out of an object are dangerous, members of classes are not") {
  const auto attribute = [](std::string_view name) {
    PickleBuilder pickle;
    pickle.global("builtins", "getattr").global("pkg", "Color").text(name).raw("\x86").reduce();
    return audit_bytes(std::move(pickle).stop()).verdict();
  };
  CHECK(attribute("RED") == Verdict::Inert);
  CHECK(attribute("__globals__") == Verdict::Dangerous);
  CHECK(attribute("os") == Verdict::Dangerous);
  PickleBuilder chain;
  chain.global("builtins", "getattr").global("builtins", "getattr").global("pkg", "C").text("a").raw("\x86").reduce();
  CHECK(audit_bytes(chain.text("b").raw("\x86").reduce().bytes() + ".").verdict() == Verdict::Dangerous);
}

TEST_CASE("what is handed to a function that calls it counts as called") {
  const auto given = [](std::string_view outer, std::string_view outer_name, std::string_view module,
                        std::string_view name) {
    PickleBuilder pickle;
    pickle.global(outer, outer_name).global(module, name).raw("\x85").reduce();
    const AuditReport report = audit_bytes(std::move(pickle).stop());
    return report.pickles[0].calls[0].verdict;
  };
  CHECK(given("functools", "partial", "os", "system") == Verdict::Dangerous);
  CHECK(given("functools", "partial", "pkg", "f") == Verdict::Inert);
  CHECK(given("collections", "defaultdict", "builtins", "list") == Verdict::Known);
  CHECK(given("torch._tensor", "_rebuild_from_type_v2", "posix", "system") == Verdict::Dangerous);
  CHECK(given("torch._tensor", "_rebuild_from_type_v2", "torch.hub", "load") == Verdict::Dangerous);
  CHECK(given("pkg", "apply", "builtins", "eval") == Verdict::Dangerous);
}

TEST_CASE("names have verdicts of their own, mentioned or called") {
  CHECK(verdict_of("os", "system") == "dangerous");
  CHECK(verdict_of("runpy", "_run_code") == "dangerous");
  CHECK(verdict_of("torch", "serialization.os.system") == "dangerous");
  CHECK(verdict_of("torch.serialization", "os") == "dangerous");
  CHECK(verdict_of("six.moves.builtins", "eval") == "dangerous");
  CHECK(verdict_of("pip._vendor.six.moves.builtins", "eval") == "dangerous");
  CHECK(verdict_of("numpy.testing._private.utils", "runstring") == "dangerous");
  CHECK(verdict_of("torch.serialization", "load") == "dangerous");
  CHECK(verdict_of("torch.hub", "load") == "dangerous");
  CHECK(verdict_of("pip", "main") == "dangerous");
  CHECK(verdict_of("pkg.mod", "f.__globals__") == "dangerous");
  CHECK(verdict_of("operator", "methodcaller") == "dangerous");
  CHECK(verdict_of("pkg.mod", "Outer.Inner") == "inert");
  CHECK(verdict_of("numpy.random._pickle", "__randomstate_ctor") == "inert");
  CHECK(verdict_of("typing", "Any") == "known");
  CHECK(verdict_of("collections", "OrderedDict") == "known");
  CHECK(verdict_of("torch", "FloatStorage") == "known");
  CHECK(verdict_of("evil", "FloatStorage") == "inert");
}

TEST_CASE("STACK_GLOBAL with a dotted name, and with a name that the pickle computes") {
  CHECK(calls_of(audit_bytes(std::string("\x80\x04\x8c\x05torch\x8c\x17serialization.os.system\x93)R."))) ==
        Lines{"dangerous REDUCE torch.serialization.os.system @36"});
  const AuditReport report = audit_bytes(std::string("\x80\x04\x8c\x02os") + "cpkg\nname\n)R\x93.");
  CHECK(report.verdict() == Verdict::Dangerous);
  CHECK(full_name(report.pickles[0].globals.back()) == "(computed).name");
}

TEST_CASE("a name is listed once, with how often") {
  PickleBuilder pickle;
  pickle.proto().global("pkg", "C").put(0).empty_tuple().newobj().raw("0").get(0).empty_tuple().newobj().raw("0");
  const AuditReport report = audit_bytes(pickle.global("pkg", "C").bytes() + ".");
  REQUIRE(report.pickles[0].globals.size() == 1);
  CHECK(report.pickles[0].globals[0].mentions == 2);
  CHECK(report.pickles[0].globals[0].calls == 2);
  CHECK(report.pickles[0].globals[0].offset == 2);
}

TEST_CASE("what was found before the end of a damaged pickle stays") {
  const AuditReport truncated = audit_bytes(
      "\x80\x02"
      "cos\nsystem\n(Vid\ntR");
  CHECK(truncated.verdict() == Verdict::Dangerous);
  CHECK(calls_of(truncated) == Lines{"dangerous REDUCE os.system @19"});
  CHECK(finds(truncated, Verdict::Corrupt, "ends without STOP"));
  CHECK(truncated.findings[0].offset == 20);
  const TorchFile file{.pickle = "\x80\x02}\xff", .storages = {}};
  CHECK(audit_bytes(torch_bytes(file)).verdict() == Verdict::Corrupt);
  CHECK(audit_bytes("(dp0\nI0x10\ncos\nsystem\n(tR.").verdict() == Verdict::Dangerous);
}

TEST_CASE("a payload after STOP is found") {
  const AuditReport bare = audit_bytes(kPlain + kPayload);
  CHECK(bare.verdict() == Verdict::Dangerous);
  CHECK(bare.pickles.size() == 2);
  CHECK(bare.pickles[1].offset == 4);
  CHECK(finds(bare, Verdict::Known, "more pickles after STOP"));
  CHECK(audit_bytes(torch_bytes({.pickle = kPlain + kPayload, .storages = {}})).verdict() == Verdict::Dangerous);
  CHECK(finds(audit_bytes(kPlain + "\xff\xff\xff"), Verdict::Corrupt, "3 bytes after STOP"));
}

TEST_CASE("records beside the checkpoint are looked at, whatever their names") {
  ZipBuilder zip;
  zip.add("m/data.pkl", kPlain).add("m/version", "3\n").add("m/extra/evil.pkl", kPayload).add("m/run.py", "x");
  zip.add("other/notes.txt", kPayload).add("m/data/0", std::string("\x80\x04") + kPayload);
  const AuditReport report = audit_bytes(zip.finish());
  CHECK(report.verdict() == Verdict::Dangerous);
  CHECK(report.pickles.size() == 4);
  CHECK(calls_of(report).size() == 3);
  CHECK(finds(report, Verdict::Inert, "1 record of code or programs"));
  CHECK(finds(report, Verdict::Inert, "1 record outside the folder m/"));
  CHECK(finds(report, Verdict::Inert, "although their names say pickle"));
}

TEST_CASE("a zip that contradicts itself is followed entry by entry") {
  ZipBuilder twice;
  twice.add("m/data.pkl", kPlain).add("m/data.pkl", kPayload).add("m/version", "3\n");
  const AuditReport report = audit_bytes(twice.finish());
  CHECK(report.verdict() == Verdict::Dangerous);
  CHECK(finds(report, Verdict::Corrupt, "two zip records are called"));
  ZipBuilder renamed;
  renamed.add("m/data.pkl", kPayload, {.local_name = "m/data.pk_"});
  CHECK(audit_bytes(renamed.finish()).verdict() == Verdict::Dangerous);
  const std::string whole = torch_bytes({.pickle = kPayload, .storages = {}});
  CHECK(audit_bytes(whole.substr(0, whole.size() - 30)).verdict() == Verdict::Dangerous);
  CHECK(audit_bytes(kPlain + whole).verdict() == Verdict::Dangerous);
  CHECK(audit_bytes(whole + "tail").verdict() == Verdict::Dangerous);
  ZipBuilder compressed;
  compressed.add("m/data.pkl", "\xff\xff", {.method = 8}).add("m/version", "3\n");
  CHECK(audit_bytes(compressed.finish()).verdict() == Verdict::Corrupt);
}

TEST_CASE("archives inside archives and arrays of objects") {
  const std::string inner = torch_bytes({.pickle = kPayload, .storages = {}});
  ZipBuilder zip;
  zip.add("serialized_exported_program.json", "{}").add("serialized_state_dict.pt", inner);
  const AuditReport report = audit_bytes(zip.finish());
  CHECK(calls_of(report) == Lines{"dangerous REDUCE os.system @17"});
  CHECK(report.pickles[0].where == "serialized_state_dict.pt: m/data.pkl");
  std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }";
  header.resize(117, ' ');
  const std::string npy = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + kPayload;
  CHECK(audit_bytes(npy).verdict() == Verdict::Dangerous);
  ZipBuilder npz;
  CHECK(audit_bytes(npz.add("a.npy", npy).finish()).verdict() == Verdict::Dangerous);
  std::string nested = inner;
  for (int i = 0; i < 12; ++i) nested = ZipBuilder().add("a.pt", nested).finish();
  CHECK(finds(audit_bytes(nested), Verdict::Corrupt, "containers inside each other"));
}

TEST_CASE("all pickles of an old stream and of a tar archive are looked at") {
  std::string stream = read_file(data_dir() / "pt" / "state_dict_legacy.pt");
  const AuditReport good = audit_bytes(stream);
  REQUIRE(good.pickles.size() == 5);
  CHECK(good.verdict() == Verdict::Known);
  // The third pickle becomes a payload: PyTorch unpickles the header like everything else.
  const auto at = static_cast<std::size_t>(*good.pickles[2].offset);
  stream.replace(at, static_cast<std::size_t>(good.pickles[2].size_bytes), kPayload);
  const AuditReport bad = audit_bytes(stream);
  CHECK(bad.verdict() == Verdict::Dangerous);
  CHECK(bad.pickles[2].where == "system");
  CHECK(bad.pickles.size() == 5);
  CHECK(audit(data_dir() / "pt" / "tar_0_1_9.pt").verdict() == Verdict::Known);
}

TEST_CASE("formats of numbers hold no pickle, unless they spell one") {
  CHECK(audit(data_dir() / "gguf" / "types.gguf").pickles.empty());
  CHECK(audit(data_dir() / "pt" / "dtypes.safetensors").pickles.empty());
  // GGUF's magic is the beginning of BINFLOAT.
  CHECK(audit_bytes("GGUF\3\1\1\1\1" + ("0" + kPayload)).verdict() == Verdict::Dangerous);
}

TEST_CASE("a memo bomb is counted once for each value") {
  PickleBuilder pickle;
  pickle.proto().global("pkg", "C").empty_tuple().newobj().put(0);
  for (std::uint32_t level = 0; level < 60; ++level) {
    pickle.raw("0").mark().get(level).get(level).tuple().put(level + 1);
  }
  const AuditReport report = audit_bytes(std::move(pickle).stop());
  REQUIRE(report.pickles.size() == 1);
  CHECK(report.pickles[0].calls.size() == 1);
  CHECK(report.verdict() == Verdict::Inert);
}

TEST_CASE("one tuple in many calls and one range in many entries cost little") {
  PickleBuilder pickle;
  pickle.global("pkg", "f").put(0).raw("0").mark();
  for (int i = 0; i < 50'000; ++i) pickle.none();
  pickle.tuple().put(1).raw("0");
  for (int i = 0; i < 50'000; ++i) pickle.get(0).get(1).reduce().raw("0");
  CHECK(audit_bytes(pickle.none().bytes() + ".").pickles[0].calls.size() == 50'000);
}

TEST_CASE("ten thousand headers in front of the same bytes cost little") {
  PickleBuilder bytes;
  for (int i = 0; i < 10'000; ++i) {
    bytes.raw("PK\3\4").raw(std::string(22, '\0')).number<std::uint16_t>(5).number<std::uint16_t>(0).raw("a.pklP");
  }
  const AuditReport report = audit_bytes(bytes.bytes());
  CHECK(report.verdict() == Verdict::Corrupt);
  CHECK(finds(report, Verdict::Corrupt, "too often"));
}

TEST_CASE("damaged files are audited or refused, whatever the damage") {
  const TempDir dir;
  const auto audited = [&](const std::string& bytes) {
    std::filesystem::remove(dir / "file");  // truncating one waits for the disk on some file systems
    const auto path = write_file(dir / "file", bytes);
    const auto code = code_of([&] { audit(path); });
    return !code || *code == ErrorCode::Unsupported || *code == ErrorCode::Corrupt;
  };
  const std::string stream = read_file(data_dir() / "pt" / "tar_0_1_9.pt");
  for (const std::string& good : {torch_bytes({.pickle = kPayload, .storages = {float_bytes(2)}}), kPlain + kPayload}) {
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(audited(good.substr(0, size)));
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (const char value : {'\0', '\x7f', '\x80', '\xff'}) {
        std::string bad = good;
        bad[at] = value;
        CHECK(audited(bad));
      }
    }
  }
  for (std::size_t size = 0; size < stream.size(); size += 37) CHECK(audited(stream.substr(0, size)));
}

TEST_CASE("limits end an audit with a finding") {
  Limits limits;
  limits.nodes = 10;
  PickleBuilder pickle;
  pickle.global("os", "system");
  for (int i = 0; i < 20; ++i) pickle.none();
  const AuditReport report = audit_bytes(pickle.bytes(), limits);
  CHECK(report.verdict() == Verdict::Dangerous);
  CHECK(finds(report, Verdict::Corrupt, "values of a pickle"));
}

TEST_CASE("what is no checkpoint and no pickle is named, not audited") {
  const TempDir dir;
  CHECK(error_of([&] { audit(write_file(dir / "a", "Please read me.\n")); }).value().code() == ErrorCode::Unsupported);
  CHECK(error_of([&] { audit(dir / "missing"); }).value().code() == ErrorCode::Io);
}

TEST_CASE("a folder is audited with everything in it") {
  const TempDir dir;
  write_file(dir / "model.bin", torch_bytes({.pickle = kPlain, .storages = {}}));
  write_file(dir / "config.json", "{}");
  write_file(dir / "modeling.py", "import os");
  AuditReport report = audit(dir.path());
  CHECK(report.verdict() == Verdict::Inert);
  CHECK(report.pickles.size() == 1);
  CHECK(report.pickles[0].where == "model.bin: m/data.pkl");
  write_file(dir / "scheduler.pkl", kPayload);
  report = audit(dir.path());
  CHECK(report.verdict() == Verdict::Dangerous);
}

TEST_CASE("the fixtures are without danger, with known counts") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir() / "pt")) {
    if (entry.path().extension() != ".pt" && entry.path().extension() != ".pt2") continue;
    CAPTURE(entry.path().string());
    CHECK(audit(entry.path()).verdict() <= Verdict::Inert);
    ++files;
  }
  CHECK(files > 25);
  const auto count = [](const char* name, Verdict verdict) {
    std::int64_t globals = 0;
    for (const AuditedPickle& pickle : audit(data_dir() / "pt" / name).pickles) {
      globals += std::ranges::count(pickle.globals, verdict, &AuditedGlobal::verdict);
    }
    return globals;
  };
  CHECK(count("module_full.pt", Verdict::Inert) == 11);
  CHECK(count("state_dict.pt", Verdict::Inert) == 0);
  CHECK(count("state_dict.pt", Verdict::Known) == 4);
  CHECK(count("torchscript_script.pt", Verdict::Inert) == 4);
  const AuditReport script = audit(data_dir() / "pt" / "torchscript_script.pt");
  CHECK(finds(script, Verdict::Inert, "torch.jit.load would run"));
}
