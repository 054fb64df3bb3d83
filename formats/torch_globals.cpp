#include "formats/torch_globals.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "formats/python_library.hpp"

namespace mq::formats::torch {
namespace {

struct Row {
  std::string_view module;
  std::string_view name;
  Callable callable;
};

// The module torch.tensor was renamed torch._tensor.
constexpr std::array kCallables{
    Row{"torch._utils", "_rebuild_tensor_v2", Callable::TensorV2},
    Row{"torch._utils", "_rebuild_tensor_v3", Callable::TensorV3},
    Row{"torch._utils", "_rebuild_tensor", Callable::Tensor},
    Row{"torch._utils", "_rebuild_parameter", Callable::Parameter},
    Row{"torch._utils", "_rebuild_parameter_with_state", Callable::ParameterWithState},
    Row{"torch._tensor", "_rebuild_from_type_v2", Callable::FromTypeV2},
    Row{"torch._tensor", "_rebuild_from_type", Callable::FromType},
    Row{"torch.tensor", "_rebuild_from_type_v2", Callable::FromTypeV2},
    Row{"torch.tensor", "_rebuild_from_type", Callable::FromType},
    Row{"torch.nn.parameter", "Parameter", Callable::OldParameter},
    Row{"torch.autograd.variable", "Variable", Callable::OldParameter},
    Row{"torch._utils", "_rebuild_qtensor", Callable::Quantized},
    Row{"torch._utils", "_rebuild_sparse_tensor", Callable::Sparse},
    Row{"torch._utils", "_rebuild_sparse_csr_tensor", Callable::Sparse},
    Row{"torch._utils", "_rebuild_meta_tensor_no_storage", Callable::Meta},
    Row{"torch._utils", "_rebuild_nested_tensor", Callable::Nested},
    Row{"torch._utils", "_rebuild_wrapper_subclass", Callable::Subclass},
    Row{"torch._utils", "_rebuild_device_tensor_from_numpy", Callable::FromNumpy},
    Row{"torch._utils", "_rebuild_xla_tensor", Callable::FromNumpy},
    Row{"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Callable::FromCpu},
    Row{"numpy.core.multiarray", "_reconstruct", Callable::Array},
    Row{"numpy._core.multiarray", "_reconstruct", Callable::Array},
    Row{"numpy.core.numeric", "_frombuffer", Callable::ArrayBuffer},
    Row{"numpy._core.numeric", "_frombuffer", Callable::ArrayBuffer},
    Row{"numpy.core.multiarray", "scalar", Callable::ArrayScalar},
    Row{"numpy._core.multiarray", "scalar", Callable::ArrayScalar},
    Row{"collections", "OrderedDict", Callable::OrderedDict},
    Row{"collections", "Counter", Callable::Dict},
    Row{"builtins", "dict", Callable::Dict},
    Row{"collections", "defaultdict", Callable::DefaultDict},
    Row{"argparse", "Namespace", Callable::Namespace},
    Row{"types", "SimpleNamespace", Callable::Namespace},
    Row{"torch", "Size", Callable::Size},
    Row{"builtins", "set", Callable::Set},
    Row{"builtins", "frozenset", Callable::Set},
    Row{"torch.jit._pickle", "build_intlist", Callable::Typed},
    Row{"torch.jit._pickle", "build_doublelist", Callable::Typed},
    Row{"torch.jit._pickle", "build_boollist", Callable::Typed},
    Row{"torch.jit._pickle", "build_tensorlist", Callable::Typed},
    Row{"torch.jit._pickle", "restore_type_tag", Callable::Typed},
};

constexpr std::string_view kStorage = "Storage";

struct ElementRow {
  std::string_view prefix;  // of FloatStorage and FloatTensor
  DType dtype;
  bool quantized = false;
  int values_per_byte = 1;
};

constexpr std::array kElements{
    ElementRow{"Float", DType::Float32},
    ElementRow{"Half", DType::Float16},
    ElementRow{"BFloat16", DType::BFloat16},
    ElementRow{"Double", DType::Float64},
    ElementRow{"Long", DType::Int64},
    ElementRow{"Int", DType::Int32},
    ElementRow{"Short", DType::Int16},
    ElementRow{"Char", DType::Int8},
    ElementRow{"Byte", DType::UInt8},
    ElementRow{"Bool", DType::Bool},
    ElementRow{"ComplexFloat", DType::Complex64},
    ElementRow{"ComplexDouble", DType::Complex128},
    ElementRow{"QInt8", DType::Int8, true},
    ElementRow{"QUInt8", DType::UInt8, true},
    ElementRow{"QInt32", DType::Int32, true},
    ElementRow{"QUInt4x2", DType::UInt8, true, 2},
    ElementRow{"QUInt2x4", DType::UInt8, true, 4},
};

const ElementRow* element_type(std::string_view prefix) noexcept {
  const auto found = std::ranges::find(kElements, prefix, &ElementRow::prefix);
  return found == kElements.end() ? nullptr : &*found;
}

bool is_old_tensor_class(const pickle::Global& global) noexcept {
  constexpr std::string_view kSuffix = "Tensor";
  if (global.module != "torch" && global.module != "torch.cuda") return false;
  if (!global.name.ends_with(kSuffix)) return false;
  const ElementRow* row = element_type(global.name.substr(0, global.name.size() - kSuffix.size()));
  return row != nullptr && !row->quantized;
}

}  // namespace

Callable callable(const pickle::Global& global) noexcept {
  for (const Row& row : kCallables) {
    if (row.name == global.name && row.module == global.module) return row.callable;
  }
  return is_old_tensor_class(global) ? Callable::OldTensor : Callable::Unknown;
}

bool may_be_called(const pickle::Global& global) noexcept {
  // A dotted name leads from one module through its attributes to another: torch, "serialization.os.system".
  std::string_view rest = global.name;
  for (std::size_t dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    if (is_python_library(rest.substr(0, dot))) return false;
    rest.remove_prefix(dot + 1);
  }
  return !is_python_library(global.module.substr(0, global.module.find('.'))) ||
         is_plain_value(global.module, global.name);
}

// Source: pytorch/pytorch, torch/_weights_only_unpickler.py.
bool is_weights_only(const pickle::Global& global) noexcept {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kPlain{{
      {"torch", "device"},
      {"torch.serialization", "_get_layout"},
      {"_codecs", "encode"},
      {"builtins", "bytearray"},
      {"builtins", "complex"},
  }};
  switch (callable(global)) {
    case Callable::Unknown:
      return std::ranges::find(kPlain, std::pair(global.module, global.name)) != kPlain.end() ||
             storage_class(global).has_value();
    case Callable::FromType:
    case Callable::Array:
    case Callable::ArrayBuffer:
    case Callable::ArrayScalar:
    case Callable::DefaultDict:
    case Callable::Namespace:
    case Callable::Typed:
      return false;
    case Callable::Dict:
      return global.name == "Counter";
    case Callable::Set:
      return global.name == "set";
    default:
      return true;
  }
}

std::optional<DType> dtype_of(const pickle::Global& global) noexcept {
  if (global.module != "torch") return std::nullopt;
  const std::optional<DType> dtype = parse_dtype(global.name);
  if (!dtype || to_string(*dtype) != global.name || info(*dtype).block_numel != 1) return std::nullopt;
  return dtype;
}

std::optional<StorageClass> storage_class(const pickle::Global& global) noexcept {
  if (!global.name.ends_with(kStorage)) return std::nullopt;
  const std::string_view prefix = global.name.substr(0, global.name.size() - kStorage.size());
  const ElementRow* row = element_type(prefix);
  if (row == nullptr) return StorageClass{.name = global.name, .dtype = std::nullopt, .untyped = prefix == "Untyped"};
  return StorageClass{
      .name = global.name, .dtype = row->dtype, .quantized = row->quantized, .values_per_byte = row->values_per_byte};
}

std::optional<std::string> storage_class_name(DType dtype, bool quantized) {
  for (const ElementRow& row : kElements) {
    if (row.dtype != dtype || row.quantized != quantized || row.values_per_byte != 1) continue;
    return std::string(row.prefix).append(kStorage);
  }
  return std::nullopt;
}

}  // namespace mq::formats::torch
