#include "formats/audit_names.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "formats/pickle_listing.hpp"
#include "formats/python_library.hpp"
#include "formats/torch_globals.hpp"

namespace mq::formats::audit {
namespace {

// No attribute has a longer name; names are looked through again for every call.
constexpr std::size_t kMaxPathBytes = 4096;

struct Name {
  std::string_view module;
  std::string_view name;  // empty: everything in the module and below it
};

// Functions of other packages that run code, programs or pickles: not complete, and nothing here relies on it.
constexpr std::array kRunners{
    Name{"IPython", ""},
    Name{"_distutils_hack", ""},
    Name{"cloudpickle", ""},  // builds functions from byte code in the file
    Name{"dill", ""},
    Name{"easy_install", ""},
    Name{"joblib", "load"},
    Name{"joblib.numpy_pickle", "load"},
    Name{"numpy", "load"},
    Name{"numpy.distutils", ""},
    Name{"numpy.f2py", ""},
    Name{"numpy.lib.npyio", "load"},
    Name{"numpy.testing", ""},
    Name{"pandas", "eval"},
    Name{"pandas", "read_pickle"},
    Name{"pandas.core.computation", ""},
    Name{"pandas.io.pickle", ""},
    Name{"pip", ""},
    Name{"pkg_resources", ""},
    Name{"setuptools", ""},
    Name{"six.moves", ""},  // Python's library under another name
    Name{"sympy.core.sympify", "sympify"},
    Name{"sympy.parsing", ""},
    Name{"torch", "load"},
    Name{"torch._dynamo", ""},
    Name{"torch._inductor", ""},
    Name{"torch.fx.experimental", ""},
    Name{"torch.fx.graph_module", "reduce_deploy_graph_module"},  // run source text that is in the file
    Name{"torch.fx.graph_module", "reduce_graph_module"},
    Name{"torch.fx.graph_module", "reduce_package_graph_module"},
    Name{"torch.hub", ""},
    Name{"torch.jit", "load"},
    Name{"torch.jit._serialization", "load"},
    Name{"torch.ops", "load_library"},
    Name{"torch.package", ""},
    Name{"torch.serialization", "load"},
    Name{"torch.utils._config_module", ""},
    Name{"torch.utils.bottleneck", ""},
    Name{"torch.utils.collect_env", ""},
    Name{"torch.utils.cpp_extension", ""},
    Name{"torch.utils.model_zoo", ""},
};

// Names of modules at the end of a path: the module itself is what the pickle would hold.
constexpr std::array<std::string_view, 18> kModules{
    "__builtin__", "_pickle", "builtins", "cPickle", "ctypes", "imp",    "importlib",  "marshal", "nt",
    "os",          "pickle",  "posix",    "pty",     "runpy",  "shutil", "subprocess", "sys",     "socket",
};

// Parts of Python's library without anything that could act.
constexpr std::array<std::string_view, 10> kTypesOnly{
    "_collections_abc", "abc", "cmath", "collections.abc", "datetime", "decimal", "enum", "math", "numbers", "typing",
};

constexpr std::array kKnown{
    Name{"numpy", "dtype"},
    Name{"numpy", "ndarray"},
    Name{"numpy", "bool_"},
    Name{"numpy", "float32"},
    Name{"numpy", "float64"},
    Name{"numpy", "int64"},
    Name{"torch", "Tensor"},
    Name{"torch._utils", "_rebuild_wrapper_subclass"},
    Name{"torch.serialization", "_get_layout"},
    Name{"torch", "device"},
    Name{"torch", "per_channel_affine"},
    Name{"torch", "per_channel_affine_float_qparams"},
    Name{"torch", "per_tensor_affine"},
    Name{"torch", "qint32"},
    Name{"torch", "qint8"},
    Name{"torch", "quint8"},
};

bool is_below(std::string_view module, std::string_view package) noexcept {
  return module.starts_with(package) && (module.size() == package.size() || module[package.size()] == '.');
}

bool is_listed(std::span<const Name> names, const pickle::Global& global) noexcept {
  return std::ranges::any_of(names, [&](const Name& row) {
    return row.name.empty() ? is_below(global.module, row.module)
                            : row.module == global.module && row.name == global.name;
  });
}

bool is_known(const pickle::Global& global) noexcept {
  if (torch::callable(global) != torch::Callable::Unknown || is_plain_value(global.module, global.name)) return true;
  if (torch::dtype_of(global) || is_listed(kKnown, global)) return true;
  return is_below(global.module, "torch") && torch::storage_class(global).has_value();
}

// Copies of the library that packages carry: six.moves.builtins, pip._vendor.six.moves.builtins.
bool is_moved_library(std::string_view module) noexcept {
  return module.find("six.moves.") != std::string_view::npos;
}

}  // namespace

bool escapes(std::string_view path) noexcept {
  if (path.size() > kMaxPathBytes) return true;
  const bool dotted = path.find('.') != std::string_view::npos;
  while (!path.empty()) {
    const std::size_t dot = path.find('.');
    const std::string_view part = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (part.size() > 4 && part.starts_with("__") && part.ends_with("__")) return true;
    if (std::ranges::find(kModules, part) != kModules.end()) return true;
    if (dotted && !path.empty() && is_python_library(part)) return true;
  }
  return false;
}

Judgement judge_call(const pickle::Global& global) noexcept {
  if (global.module == pickle::kComputed) return {Verdict::Dangerous, "a value computed by the pickle, not a name"};
  if (global.module == pickle::kExtension) {
    return {Verdict::Dangerous, "a number that the loading program resolves to any class or function"};
  }
  if (is_known(global)) {
    return {Verdict::Known, torch::callable(global) == torch::Callable::Unknown ? "a plain value" : "interpreted"};
  }
  if (is_python_library(global.module.substr(0, global.module.find('.')))) {
    return {Verdict::Dangerous, "Python's own library, and not one of its plain values"};
  }
  if (!torch::may_be_called(global) || escapes(global.name) || is_moved_library(global.module)) {
    return {Verdict::Dangerous, "leads through another package into Python's own library"};
  }
  if (is_listed(kRunners, global)) return {Verdict::Dangerous, "known to run code, programs or pickles"};
  if (is_below(global.module, "__torch__")) {
    return {Verdict::Inert, "a class of the archive's own code, which torch.jit.load would run"};
  }
  return {Verdict::Inert, "another package: data here, but Python would import and run it"};
}

Judgement judge_mention(const pickle::Global& global) noexcept {
  if (std::ranges::find(kTypesOnly, global.module) != kTypesOnly.end() && !escapes(global.name)) {
    return {Verdict::Known, "a type or arithmetic of Python's library"};
  }
  return judge_call(global);
}

}  // namespace mq::formats::audit
