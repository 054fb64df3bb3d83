#include "formats/audit_calls.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "formats/audit_names.hpp"
#include "formats/torch_globals.hpp"
#include "mq/error.hpp"

namespace mq::formats::audit {
namespace {

using pickle::Global;
using pickle::Graph;
using pickle::Kind;
using pickle::kNoNode;
using pickle::NodeId;
using pickle::Object;

constexpr std::size_t kMaxNameInReason = 100;
constexpr std::size_t kShortTuple = 8;    // looked through each time
constexpr std::size_t kMaxKeyBytes = 20;  // of a number of 64 bits

bool is(const Global& global, std::string_view module, std::string_view name) noexcept {
  return global.module == module && global.name == name;
}

// Known functions that call their first argument, now or when the result is used.
bool calls_first_argument(const Global& global) noexcept {
  const torch::Callable what = torch::callable(global);
  return what == torch::Callable::FromType || what == torch::Callable::FromTypeV2 ||
         what == torch::Callable::DefaultDict || what == torch::Callable::Array || is(global, "functools", "partial") ||
         is(global, "copyreg", "_reconstructor") || is(global, "copyreg", "__newobj__") ||
         is(global, "copyreg", "__newobj_ex__");
}

bool rebuilds_tensor(const Global& global) noexcept {
  switch (torch::callable(global)) {
    case torch::Callable::Tensor:
    case torch::Callable::TensorV2:
    case torch::Callable::TensorV3:
    case torch::Callable::OldTensor:
    case torch::Callable::Quantized:
    case torch::Callable::Sparse:
    case torch::Callable::Meta:
    case torch::Callable::Nested:
    case torch::Callable::Subclass:
    case torch::Callable::FromNumpy:
      return true;
    default:
      return false;
  }
}

CallKind kind_of(std::byte opcode) noexcept {
  switch (static_cast<unsigned char>(opcode)) {
    case 0x81:
      return CallKind::NewObj;
    case 0x92:
      return CallKind::NewObjEx;
    case 'i':
      return CallKind::Inst;
    case 'o':
      return CallKind::Obj;
    default:
      return CallKind::Reduce;
  }
}

std::string name_of(const Global& global) {
  return printable(global.module, kMaxNameInReason) + "." + printable(global.name, kMaxNameInReason);
}

struct CallJudgement {
  Verdict verdict;
  std::string reason;  // empty: that of the global
};

class Judge {
 public:
  Judge(const pickle::Listing& listing, std::span<const std::byte> bytes)
      : listing_(listing), graph_(listing.pickle.graph), bytes_(bytes) {}

  AuditedPickle run() && {
    out_.size_bytes = listing_.pickle.size_bytes;
    index_.assign(graph_.size(), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      if (graph_.kind(id) == Kind::Global) add_mention(id);
      if (graph_.kind(id) == Kind::PersistentId) add_persistent_id(id);
    }
    for (const Object& object : graph_.objects()) {
      CallJudgement judgement = judge_object(object);
      add_call(index_[object.callable], kind_of(bytes_[object.offset]), object.offset, std::move(judgement));
    }
    for (const pickle::Change& change : listing_.changes) add_change(change);
    std::ranges::stable_sort(out_.calls, {}, &AuditedCall::offset);
    return std::move(out_);
  }

 private:
  // The entry of a name. Looks at all of its letters: once for every opcode that spells it, not for every use.
  std::uint32_t entry_of(const Global& global, std::uint64_t offset) {
    const auto [found, is_new] =
        entries_[global.module].emplace(global.name, static_cast<std::uint32_t>(out_.globals.size()));
    if (is_new) {
      const Judgement judgement = judge_mention(global);
      called_.push_back(judge_call(global));
      out_.globals.push_back({.module = std::string(global.module),
                              .name = std::string(global.name),
                              .offset = offset,
                              .mentions = 0,
                              .calls = 0,
                              .rebuilds_tensor = rebuilds_tensor(global),
                              .verdict = judgement.verdict,
                              .reason = std::string(judgement.reason)});
    }
    return found->second;
  }

  void add_call(std::size_t global, CallKind kind, std::uint64_t offset, CallJudgement judgement) {
    ++out_.globals[global].calls;
    out_.calls.push_back({global, kind, offset, judgement.verdict, std::move(judgement.reason)});
  }

  void add_mention(NodeId id) {
    const Global& global = graph_.global(id);
    const std::uint32_t index = index_[id] = entry_of(global, graph_.offset(id));
    ++out_.globals[index].mentions;
    if (global.module == pickle::kExtension) {
      add_call(index, CallKind::Extension, graph_.offset(id), {Verdict::Dangerous, {}});
    }
  }

  // ("storage", class, key, location, elements), with a view in old streams. Tar archives number their tensors.
  bool is_storage_id(NodeId id) const {
    if (graph_.kind(id) == Kind::Int) return true;
    if (graph_.kind(id) == Kind::Str) {
      const std::string_view key = graph_.text(id);
      return !key.empty() && key.size() <= kMaxKeyBytes &&
             std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; });
    }
    if (graph_.kind(id) != Kind::Tuple) return false;
    const auto items = graph_.items(id);
    const auto is_text = [&](std::size_t i) {
      return graph_.kind(items[i]) == Kind::Str || graph_.kind(items[i]) == Kind::Bytes;
    };
    return (items.size() == 5 || items.size() == 6) && is_text(0) && graph_.text(items[0]) == "storage" &&
           graph_.kind(items[1]) == Kind::Global && (is_text(2) || graph_.kind(items[2]) == Kind::Int) && is_text(3) &&
           graph_.kind(items[4]) == Kind::Int;
  }

  void add_persistent_id(NodeId id) {
    if (is_storage_id(graph_.persistent_id(id))) return;
    const std::uint32_t index = entry_of({"(persistent id)", "of unknown form"}, graph_.offset(id));
    out_.globals[index].reason = "the loading program decides what it stands for";
    add_call(index, CallKind::PersistentId, graph_.offset(id), {Verdict::Inert, {}});
  }

  CallJudgement judge_object(const Object& object) {
    const Global& global = graph_.global(object.callable);
    CallJudgement out{called(object.callable).verdict, {}};
    if (object.computed != kNoNode) out.reason = "calls " + describe(object.computed);
    if (out.verdict == Verdict::Dangerous) {
      const bool said = out_.globals[index_[object.callable]].verdict == Verdict::Dangerous;
      if (out.reason.empty() && !said) out.reason = called(object.callable).reason;
      return out;
    }
    const auto args = graph_.items(object.args);
    if (const NodeId given = dangerous_in(object.args); given != kNoNode) {
      return {Verdict::Dangerous, "is given " + name_of(graph_.global(given))};
    }
    if (is(global, "builtins", "getattr")) return judge_getattr(args);
    if (is(global, "operator", "attrgetter")) return judge_attrgetter(args);
    if (calls_first_argument(global) && !args.empty()) return judge_callee(args[0], std::move(out));
    return out;
  }

  const Judgement& called(NodeId global) const { return called_[index_[global]]; }

  // The first dangerous name among the elements of a tuple, if it is one. One tuple may be the arguments of many calls.
  NodeId dangerous_in(NodeId tuple) {
    if (tuple == kNoNode || graph_.kind(tuple) != Kind::Tuple) return kNoNode;
    const auto items = graph_.items(tuple);
    const bool keep = items.size() > kShortTuple;
    if (keep) {
      if (const auto known = dangerous_in_.find(tuple); known != dangerous_in_.end()) return known->second;
    }
    const auto found = std::ranges::find_if(items, [&](NodeId item) {
      return graph_.kind(item) == Kind::Global && out_.globals[index_[item]].verdict == Verdict::Dangerous;
    });
    const NodeId name = found == items.end() ? kNoNode : *found;
    if (keep) dangerous_in_.emplace(tuple, name);
    return name;
  }

  // The first argument is what is called in the end.
  CallJudgement judge_callee(NodeId callee, CallJudgement out) const {
    if (graph_.kind(callee) == Kind::None) return out;  // a dict without a default
    if (graph_.kind(callee) != Kind::Global) return {Verdict::Dangerous, "would call " + describe(callee)};
    const Judgement& judgement = called(callee);
    if (judgement.verdict <= out.verdict) return out;
    return {judgement.verdict, "would call " + name_of(graph_.global(callee))};
  }

  // Members of enumerations and methods are pickled as getattr(class or object, name); a chain of them reaches
  // anything.
  CallJudgement judge_getattr(std::span<const NodeId> args) const {
    if (args.size() < 2 || graph_.kind(args[1]) != Kind::Str) {
      return {Verdict::Dangerous, "takes an attribute whose name is computed"};
    }
    const std::string_view name = graph_.text(args[1]);
    const std::string shown = printable(name, kMaxNameInReason);
    if (escapes(name)) return {Verdict::Dangerous, "takes the attribute " + shown + ", which leads out of any object"};
    if (graph_.kind(args[0]) == Kind::Global) {
      const Global& owner = graph_.global(args[0]);
      return {std::max(called(args[0]).verdict, Verdict::Inert), "takes " + shown + " of " + name_of(owner)};
    }
    if (graph_.kind(args[0]) == Kind::Object) {
      const Object& owner = graph_.object(args[0]);
      if (owner.computed != kNoNode || is(graph_.global(owner.callable), "builtins", "getattr")) {
        return {Verdict::Dangerous, "a chain of getattr takes " + shown};
      }
    }
    return {Verdict::Inert, "takes the attribute " + shown};
  }

  CallJudgement judge_attrgetter(std::span<const NodeId> args) const {
    for (const NodeId argument : args) {
      if (graph_.kind(argument) != Kind::Str) return {Verdict::Dangerous, "takes an attribute whose name is computed"};
      const std::string_view path = graph_.text(argument);
      if (escapes(path)) return {Verdict::Dangerous, "takes the attribute " + printable(path, kMaxNameInReason)};
    }
    return {Verdict::Known, {}};
  }

  std::string describe(NodeId id) const {
    if (graph_.kind(id) != Kind::Object) return "a value that is no name";
    return "the result of " + name_of(graph_.global(graph_.object(id).callable));
  }

  void add_change(const pickle::Change& change) {
    const Kind kind = graph_.kind(change.target);
    const bool build = bytes_[change.offset] == std::byte{'b'};
    const CallKind what = build ? CallKind::Build : CallKind::Change;
    if (kind == Kind::Global) {
      const Global& global = graph_.global(change.target);
      return add_call(index_[change.target], what, change.offset,
                      {Verdict::Dangerous, "changes " + name_of(global) + " itself"});
    }
    if (!build || kind != Kind::Object) return;  // Python fails, or puts items into a list
    const Object& object = graph_.object(change.target);
    CallJudgement judgement{called(object.callable).verdict, {}};
    if (const NodeId given = dangerous_in(change.value); given != kNoNode) {
      judgement = {Verdict::Dangerous, "is given " + name_of(graph_.global(given))};
    }
    // Tensors and containers take their state without any code of others.
    if (judgement.verdict == Verdict::Known) return;
    add_call(index_[object.callable], what, change.offset, std::move(judgement));
  }

  const pickle::Listing& listing_;
  const Graph& graph_;
  std::span<const std::byte> bytes_;
  std::unordered_map<std::string_view, std::unordered_map<std::string_view, std::uint32_t>> entries_;
  std::vector<std::uint32_t> index_;  // of the entry of every node that is a Global
  std::vector<Judgement> called_;     // of every entry, if it is called
  std::unordered_map<NodeId, NodeId> dangerous_in_;
  AuditedPickle out_;
};

}  // namespace

AuditedPickle judge(const pickle::Listing& listing, std::span<const std::byte> bytes) {
  return Judge(listing, bytes).run();
}

}  // namespace mq::formats::audit
