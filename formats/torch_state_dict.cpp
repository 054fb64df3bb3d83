#include "formats/torch_state_dict.hpp"

#include <algorithm>
#include <optional>
#include <string_view>

#include "formats/duplicates.hpp"
#include "formats/limits.hpp"
#include "formats/pickle_writer.hpp"
#include "formats/torch_globals.hpp"
#include "formats/torch_quantized.hpp"
#include "mq/error.hpp"
#include "src/utf8.hpp"

namespace mq::formats::torch {
namespace {

constexpr std::size_t kBatch = 1000;  // items that Python gives to a dictionary at once

// The parameters of a quantized tensor, and its dimension with parameters of its own.
struct Parameters {
  std::size_t scale = 0;
  std::size_t zero_point = 0;
  std::optional<std::size_t> axis = {};
};

class Maker {
 public:
  Maker(const Layout& layout, const std::filesystem::path& path) : layout_(layout), path_(path) {}

  StateDict make() {
    require_names();
    find_parameters();
    result_.places.resize(layout_.tensors.size());
    ordered_dict();
    std::size_t items = 0;
    for (std::size_t i = 0; i < layout_.tensors.size(); ++i) {
      if (is_parameter_[i]) continue;
      if (items % kBatch == 0) out_.mark();
      out_.text(layout_.tensors[i].name);
      add(i);
      if (++items % kBatch == 0) out_.set_items();
    }
    if (items % kBatch != 0) out_.set_items();
    result_.pickle = std::move(out_).finish();
    return std::move(result_);
  }

 private:
  [[noreturn]] void refuse(std::string message, std::string found, std::string_view tensor,
                           std::string hint = {}) const {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::move(message),
                 .file = path_.string(),
                 .tensor = std::string(tensor),
                 .found = std::move(found),
                 .hint = std::move(hint)});
  }

  void require_names() const {
    std::vector<std::string_view> names;
    names.reserve(layout_.tensors.size());
    for (const TensorInfo& tensor : layout_.tensors) {
      if (utf8_valid_bytes(tensor.name) != tensor.name.size()) {
        refuse("name of a tensor is not UTF-8", "", tensor.name);
      }
      if (tensor.name.size() > layout_.limits.output_name_bytes) {
        refuse_limit(layout_.limits, &Limits::output_name_bytes,
                     {.message = "bytes of a name in the output",
                      .file = path_.string(),
                      .tensor = tensor.name,
                      .found = std::to_string(tensor.name.size())});
      }
      names.emplace_back(tensor.name);
    }
    if (const auto twice = find_duplicate(std::move(names))) refuse("tensor name twice", "", *twice);
  }

  // By sorting, as duplicates are found.
  void find_parameters() {
    is_parameter_.assign(layout_.tensors.size(), false);
    std::vector<std::size_t> by_name;
    for (std::size_t i = 0; i < layout_.tensors.size(); ++i) by_name.push_back(i);
    const auto name_of = [&](std::size_t i) -> std::string_view { return layout_.tensors[i].name; };
    std::ranges::sort(by_name, {}, name_of);
    const auto find = [&](const std::string& name) -> std::optional<std::size_t> {
      const auto at = std::ranges::lower_bound(by_name, std::string_view(name), {}, name_of);
      return at == by_name.end() || name_of(*at) != name ? std::nullopt : std::optional(*at);
    };
    for (std::size_t scale = 0; scale < layout_.tensors.size(); ++scale) {
      const std::string_view name = name_of(scale);
      if (!name.ends_with(kScaleSuffix)) continue;
      const std::string codes_name(name.substr(0, name.size() - kScaleSuffix.size()));
      const auto codes = find(codes_name);
      const auto zero_point = find(codes_name + std::string(kZeroPointSuffix));
      if (!codes || !zero_point) continue;
      const auto found = parameters(*codes, scale, *zero_point);
      if (!found) continue;
      is_parameter_[scale] = is_parameter_[*zero_point] = true;
      parameters_.emplace_back(*codes, *found);
    }
    std::ranges::sort(parameters_, {}, &Owned::first);
  }

  // Nothing if these are three tensors of similar names.
  std::optional<Parameters> parameters(std::size_t codes, std::size_t scale, std::size_t zero_point) const {
    const TensorInfo& integers = layout_.tensors[codes];
    const TensorInfo& scales = layout_.tensors[scale];
    const TensorInfo& zeros = layout_.tensors[zero_point];
    const bool fit = storage_class_name(integers.dtype, true) && scales.dtype == DType::Float64 &&
                     zeros.dtype == DType::Int64 && zeros.shape == scales.shape &&
                     scales.shape.size() == integers.shape.size();
    if (!fit) return std::nullopt;
    Parameters found{.scale = scale, .zero_point = zero_point};
    for (std::size_t d = 0; d < scales.shape.size(); ++d) {
      if (scales.shape[d] == 1) continue;
      if (found.axis || scales.shape[d] != integers.shape[d]) return std::nullopt;
      found.axis = d;
    }
    return found;
  }

  const Parameters* parameters_of(std::size_t tensor) const {
    const auto at = std::ranges::lower_bound(parameters_, tensor, {}, &Owned::first);
    return at == parameters_.end() || at->first != tensor ? nullptr : &at->second;
  }

  void ordered_dict() {
    out_.global("collections", "OrderedDict");
    out_.empty_tuple();
    out_.call();
  }

  void add(std::size_t index) {
    const TensorInfo& tensor = layout_.tensors[index];
    if (const Parameters* found = parameters_of(index)) return add_quantized(index, *found);
    if (const auto name = storage_class_name(tensor.dtype, false)) {
      add_dense(index, *name, tensor.numel(), tensor.shape);
      return;
    }
    if (dtype_of({"torch", to_string(tensor.dtype)}) != tensor.dtype) {
      const bool blocks = is_quantized_block(tensor.dtype);
      refuse("PyTorch does not have this dtype", std::string(to_string(tensor.dtype)), tensor.name,
             blocks ? "`dequantize` writes floats, `quantize` another encoding" : "");
    }
    out_.global("torch._utils", "_rebuild_tensor_v3");
    out_.mark();
    add_storage(index, "torch.storage", "UntypedStorage", tensor.size_bytes());
    add_view(tensor.shape);
    add_flags();
    out_.global("torch", to_string(tensor.dtype));
    out_.tuple();
    out_.call();
  }

  void add_dense(std::size_t index, const std::string& storage_class, std::int64_t numel, const Shape& shape) {
    out_.global("torch._utils", "_rebuild_tensor_v2");
    out_.mark();
    add_storage(index, "torch", storage_class, numel);
    add_view(shape);
    add_flags();
    out_.tuple();
    out_.call();
  }

  void add_quantized(std::size_t index, const Parameters& found) {
    const TensorInfo& tensor = layout_.tensors[index];
    out_.global("torch._utils", "_rebuild_qtensor");
    out_.mark();
    add_storage(index, "torch", *storage_class_name(tensor.dtype, true), tensor.numel());
    add_view(tensor.shape);
    out_.mark();
    if (found.axis) {
      const Shape channels{tensor.shape[*found.axis]};
      out_.global("torch", "per_channel_affine");
      add_dense(found.scale, *storage_class_name(DType::Float64, false), channels[0], channels);
      add_dense(found.zero_point, *storage_class_name(DType::Int64, false), channels[0], channels);
      out_.integer(static_cast<std::int64_t>(*found.axis));
    } else {
      out_.global("torch", "per_tensor_affine");
      result_.floats.push_back(out_.later_float());
      result_.places[found.scale] = {.in_pickle = true, .at = result_.floats.back()};
      result_.places[found.zero_point] = {.in_pickle = true, .at = out_.later_integer()};
    }
    out_.tuple();
    add_flags();
    out_.tuple();
    out_.call();
  }

  // ("storage", class, key, location, number of elements)
  void add_storage(std::size_t index, std::string_view module, std::string_view name, std::int64_t numel) {
    out_.mark();
    out_.word("storage");
    out_.global(module, name);
    out_.text(std::to_string(result_.storage_bytes.size()));
    out_.word("cpu");
    out_.integer(numel);
    out_.tuple();
    out_.persistent_id();
    result_.places[index] = {.in_pickle = false, .at = result_.storage_bytes.size()};
    result_.storage_bytes.push_back(static_cast<std::uint64_t>(layout_.tensors[index].size_bytes()));
  }

  // Offset, size, strides.
  void add_view(const Shape& shape) {
    std::vector<std::int64_t> strides(shape.size(), 1);
    // Sizes whose product does not fit have been refused, zeros aside.
    for (std::size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<std::int64_t>(shape[d], 1);
    out_.integer(0);
    out_.integers(std::vector<std::int64_t>(shape.begin(), shape.end()));
    out_.integers(strides);
  }

  // requires_grad, hooks
  void add_flags() {
    out_.boolean(false);
    ordered_dict();
  }

  using Owned = std::pair<std::size_t, Parameters>;

  const Layout& layout_;
  const std::filesystem::path& path_;
  std::vector<bool> is_parameter_;
  std::vector<Owned> parameters_;  // by the tensor of integers
  PickleWriter out_;
  StateDict result_;
};

}  // namespace

StateDict make_state_dict(const Layout& layout, const std::filesystem::path& path) {
  return Maker(layout, path).make();
}

}  // namespace mq::formats::torch
