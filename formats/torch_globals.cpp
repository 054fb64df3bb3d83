#include "formats/torch_globals.hpp"

#include <algorithm>
#include <array>

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
    Row{"collections", "OrderedDict", Callable::OrderedDict},
    Row{"collections", "Counter", Callable::Dict},
    Row{"builtins", "dict", Callable::Dict},
    Row{"collections", "defaultdict", Callable::DefaultDict},
    Row{"argparse", "Namespace", Callable::Namespace},
    Row{"types", "SimpleNamespace", Callable::Namespace},
    Row{"torch", "Size", Callable::Size},
};

struct ElementRow {
  std::string_view prefix;  // of FloatStorage and FloatTensor
  DType dtype;
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
};

std::optional<DType> element_type(std::string_view prefix) noexcept {
  const auto found = std::ranges::find(kElements, prefix, &ElementRow::prefix);
  return found == kElements.end() ? std::nullopt : std::optional(found->dtype);
}

bool is_old_tensor_class(const pickle::Global& global) noexcept {
  constexpr std::string_view kSuffix = "Tensor";
  if (global.module != "torch" && global.module != "torch.cuda") return false;
  if (!global.name.ends_with(kSuffix)) return false;
  return element_type(global.name.substr(0, global.name.size() - kSuffix.size())).has_value();
}

}  // namespace

Callable callable(const pickle::Global& global) noexcept {
  for (const Row& row : kCallables) {
    if (row.name == global.name && row.module == global.module) return row.callable;
  }
  return is_old_tensor_class(global) ? Callable::OldTensor : Callable::Unknown;
}

bool may_be_called(const pickle::Global& global) noexcept {
  // A dotted name leads from one module through its attributes to another: torch.serialization, "os.system".
  const std::string_view::size_type dot = global.name.find('.');
  if (dot != std::string_view::npos && is_python_library(global.name.substr(0, dot))) return false;
  return !is_python_library(global.module.substr(0, global.module.find('.'))) ||
         is_plain_value(global.module, global.name);
}

std::optional<DType> dtype_of(const pickle::Global& global) noexcept {
  if (global.module != "torch") return std::nullopt;
  const std::optional<DType> dtype = parse_dtype(global.name);
  if (!dtype || to_string(*dtype) != global.name || info(*dtype).block_numel != 1) return std::nullopt;
  return dtype;
}

std::optional<StorageClass> storage_class(const pickle::Global& global) noexcept {
  constexpr std::string_view kSuffix = "Storage";
  if (!global.name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view prefix = global.name.substr(0, global.name.size() - kSuffix.size());
  return StorageClass{global.name, element_type(prefix), prefix == "Untyped"};
}

}  // namespace mq::formats::torch
