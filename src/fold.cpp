#include "mq/fold.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "mq/error.hpp"
#include "src/float_rows.hpp"
#include "src/folded_checkpoint.hpp"

namespace mq {
namespace {

class Folder {
 public:
  explicit Folder(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {
    const auto tensors = checkpoint.tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) index_.emplace(tensors[i].name, i);
    folded_.resize(tensors.size());
    dropped_.resize(tensors.size(), nullptr);
    for (std::size_t i = 0; i < tensors.size(); ++i) folded_[i].original = i;
  }

  void add(const BatchNormFold& fold) {
    if (!(fold.eps > 0) || !std::isfinite(fold.eps)) {
      refuse("the eps of the normalization is not given", fold.norm, "a number above 0, as in 1e-5", "",
             "no checkpoint holds it: see the model's code (PyTorch's default is 1e-5)");
    }
    const std::size_t weight = require(fold.layer + ".weight", "layer to fold into");
    const TensorInfo& info = checkpoint_.tensors()[weight];
    if (info.shape.size() < 2) refuse("a layer without channels", info.name, "", to_string(info.shape));
    require_float(info);
    require_unshared(info);
    const std::int64_t channels = info.shape.front();
    const auto bias = find(fold.layer + ".bias");
    if (bias) require_vector(*bias, channels);
    change(weight, FoldedTensor::What::Weight, fold);
    if (bias) {
      require_unshared(checkpoint_.tensors()[*bias]);
      change(*bias, FoldedTensor::What::Bias, fold);
    } else {
      made_.emplace(weight, channels_.size());
    }
    channels_.push_back(read_norm(fold, channels));
  }

  std::unique_ptr<Checkpoint> finish(std::unique_ptr<Checkpoint> checkpoint) {
    const auto tensors = checkpoint_.tensors();
    std::vector<TensorInfo> infos;
    std::vector<FoldedTensor> all;
    std::vector<LeftOut> left_out(checkpoint_.left_out().begin(), checkpoint_.left_out().end());
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (dropped_[i] != nullptr) {
        left_out.push_back({.what = printable(tensors[i].name) + " (folded into " + printable(dropped_[i]->layer) + ")",
                            .tensors = 1,
                            .size_bytes = tensors[i].size_bytes()});
        continue;
      }
      infos.push_back(tensors[i]);
      all.push_back(folded_[i]);
      const auto made = made_.find(i);
      if (made == made_.end()) continue;
      constexpr std::string_view kWeight = "weight";
      TensorInfo bias = tensors[i];
      bias.name = bias.name.substr(0, bias.name.size() - kWeight.size()) + "bias";
      bias.shape = {tensors[i].shape.front()};
      bias.storage = 0;
      infos.push_back(std::move(bias));
      all.push_back({.what = FoldedTensor::What::Bias, .original = {}, .fold = made->second});
    }
    return make_folded_checkpoint(std::move(checkpoint), std::move(infos), std::move(all), std::move(channels_),
                                  std::move(left_out));
  }

 private:
  [[noreturn]] void refuse(std::string message, std::string_view tensor, std::string expected, std::string found,
                           std::string hint = {}) const {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::move(message),
                 .file = checkpoint_.path().string(),
                 .tensor = std::string(tensor),
                 .expected = std::move(expected),
                 .found = std::move(found),
                 .hint = std::move(hint)});
  }

  std::optional<std::size_t> find(const std::string& name) const {
    const auto at = index_.find(name);
    return at == index_.end() ? std::nullopt : std::optional(at->second);
  }
  std::size_t require(const std::string& name, const char* what) const {
    if (const auto at = find(name)) return *at;
    refuse(std::string(what) + ": there is no such tensor", name, "", "");
  }

  void require_float(const TensorInfo& tensor) const {
    if (tensor.dtype == DType::Float32 || tensor.dtype == DType::Float16 || tensor.dtype == DType::BFloat16) return;
    refuse("is not of a type that is folded", tensor.name, "float32, float16 or bfloat16",
           std::string(to_string(tensor.dtype)), "dequantize --dtype f32 makes it so");
  }
  void require_vector(std::size_t index, std::int64_t channels) const {
    const TensorInfo& tensor = checkpoint_.tensors()[index];
    require_float(tensor);
    if (tensor.shape == Shape{channels}) return;
    refuse("does not fit the layer's channels", tensor.name, to_string(Shape{channels}), to_string(tensor.shape));
  }
  void require_unshared(const TensorInfo& tensor) const {
    const auto shares = [&](const TensorInfo& other) { return other.storage == tensor.storage; };
    if (tensor.storage == 0 || std::ranges::count_if(checkpoint_.tensors(), shares) == 1) return;
    refuse("shares its bytes with other tensors, which would change too", tensor.name, "", "");
  }

  void require_free(std::size_t index, const BatchNormFold& fold) const {
    if (folded_[index].what == FoldedTensor::What::Itself && dropped_[index] == nullptr) return;
    refuse("two folds take this tensor", checkpoint_.tensors()[index].name, "", fold.layer + "=" + fold.norm);
  }
  void change(std::size_t index, FoldedTensor::What what, const BatchNormFold& fold) {
    require_free(index, fold);
    folded_[index] = {.what = what, .original = index, .fold = channels_.size()};
  }
  void drop(std::size_t index, const BatchNormFold& fold) {
    require_free(index, fold);
    dropped_[index] = &fold;
  }

  std::vector<float> read_vector(std::size_t index, std::int64_t channels, const BatchNormFold& fold) {
    require_vector(index, channels);
    drop(index, fold);
    const Tensor stored = checkpoint_.read(index);
    std::vector<float> values(static_cast<std::size_t>(channels));
    widen(stored.dtype(), stored.bytes().data(), channels, values.data());
    return values;
  }

  FoldedChannels read_norm(const BatchNormFold& fold, std::int64_t count) {
    const std::size_t mean = require(fold.norm + ".running_mean", "normalization");
    const std::size_t variance = require(fold.norm + ".running_var", "normalization");
    const auto gamma = find(fold.norm + ".weight");
    const auto beta = find(fold.norm + ".bias");
    const auto size = static_cast<std::size_t>(count);
    FoldedChannels channels{.mean = read_vector(mean, count, fold),
                            .rsqrt = read_vector(variance, count, fold),
                            .gamma = gamma ? read_vector(*gamma, count, fold) : std::vector<float>(size, 1.0F),
                            .beta = beta ? read_vector(*beta, count, fold) : std::vector<float>(size, 0.0F)};
    const auto eps = static_cast<float>(fold.eps);
    for (float& value : channels.rsqrt) {
      const float sum = value + eps;
      if (!(sum > 0) || !std::isfinite(sum)) {
        throw Error({.code = ErrorCode::Numeric,
                     .message = "a variance that cannot be",
                     .file = checkpoint_.path().string(),
                     .tensor = fold.norm + ".running_var",
                     .expected = "finite numbers above -eps",
                     .found = std::to_string(value)});
      }
      value = 1.0F / std::sqrt(sum);
    }
    if (const auto steps = find(fold.norm + ".num_batches_tracked")) drop(*steps, fold);
    return channels;
  }

  const Checkpoint& checkpoint_;
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<FoldedTensor> folded_;                   // by tensor of the original
  std::vector<const BatchNormFold*> dropped_;          // by tensor of the original: what took it
  std::unordered_map<std::size_t, std::size_t> made_;  // weight -> fold: biases that were not there
  std::vector<FoldedChannels> channels_;
};

// The layer that conventions of names put before a normalization; empty: none.
std::string layer_before(std::string_view norm) {
  const std::size_t dot = norm.rfind('.');
  const std::size_t begin = dot == std::string_view::npos ? 0 : dot + 1;
  const std::string parent(norm.substr(0, begin));
  const std::string_view leaf = norm.substr(begin);
  for (const std::string_view word : {"batchnorm", "bn", "norm"}) {
    if (leaf.starts_with(word)) return parent + "conv" + std::string(leaf.substr(word.size()));
  }
  const bool number =
      !leaf.empty() && leaf.size() < 10 && std::ranges::all_of(leaf, [](char c) { return '0' <= c && c <= '9'; });
  if (number && std::stol(std::string(leaf)) > 0) return parent + std::to_string(std::stol(std::string(leaf)) - 1);
  return {};
}

}  // namespace

std::unique_ptr<Checkpoint> fold_batch_norms(std::unique_ptr<Checkpoint> checkpoint,
                                             std::span<const BatchNormFold> folds) {
  if (folds.empty()) return checkpoint;
  Folder folder(*checkpoint);
  for (const BatchNormFold& fold : folds) folder.add(fold);
  return folder.finish(std::move(checkpoint));
}

std::vector<BatchNormFold> find_batch_norm_folds(const Checkpoint& checkpoint, double eps,
                                                 std::span<const BatchNormFold> known) {
  constexpr std::string_view kMean = ".running_mean";
  std::unordered_map<std::string_view, const TensorInfo*> tensors;
  for (const TensorInfo& tensor : checkpoint.tensors()) tensors.emplace(tensor.name, &tensor);
  std::vector<BatchNormFold> found;
  std::string open;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (!tensor.name.ends_with(kMean) || tensor.shape.size() != 1) continue;
    const std::string norm = tensor.name.substr(0, tensor.name.size() - kMean.size());
    if (std::ranges::find(known, norm, &BatchNormFold::norm) != known.end()) continue;
    const auto fits = [&](const std::string& layer) {
      const auto weight = tensors.find(layer + ".weight");
      return weight != tensors.end() && weight->second->shape.size() >= 3 &&
             weight->second->shape[0] == tensor.shape[0] && weight->second->shape[1] != tensor.shape[0] &&
             std::ranges::find(known, layer, &BatchNormFold::layer) == known.end();
    };
    const std::string layer = layer_before(norm);
    if (fits(layer)) {
      found.push_back({.layer = layer, .norm = norm, .eps = eps});
    } else {
      open += (open.empty() ? "" : ", ") + printable(norm);
    }
  }
  if (!open.empty()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "names and shapes do not say which layers these normalizations follow: " + open,
                 .file = checkpoint.path().string(),
                 .hint = "say it for each: LAYER=NORM"});
  }
  return found;
}

}  // namespace mq
