#include "mq/compare.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "src/compare_tensor.hpp"
#include "src/float_rows.hpp"
#include "src/gguf/restore.hpp"
#include "src/kinds.hpp"
#include "src/saturating.hpp"
#include "src/stored_spec.hpp"

namespace mq {
namespace {

using NameIndex = std::unordered_map<std::string_view, std::size_t>;

NameIndex index_of(const Source& source) {
  NameIndex index;
  for (std::size_t i = 0; i < source.tensors.size(); ++i) index.emplace(source.tensors[i].info.name, i);
  return index;
}

std::int64_t stored_bytes(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  std::int64_t bytes = 0;
  for (const StoredPart& part : tensor.parts) {
    bytes = saturating_add(bytes, checkpoint.tensors()[part.tensor].size_bytes());
  }
  return bytes;
}

// Bytes of all tensors, shared ones counted once.
std::int64_t all_bytes(const Checkpoint& checkpoint) {
  std::int64_t bytes = 0;
  std::set<std::uint64_t> seen;
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (tensor.storage != 0 && !seen.insert(tensor.storage).second) continue;
    bytes = saturating_add(bytes, tensor.size_bytes());
  }
  return bytes;
}

// Names of `source` that `other` has not, but for those tied to one that it has: their data is there.
std::vector<std::string> only_in(const Source& source, const NameIndex& other) {
  std::set<std::uint64_t> there;
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.info.storage != 0 && other.contains(tensor.info.name)) there.insert(tensor.info.storage);
  }
  std::vector<std::string> names;
  for (const LogicalTensor& tensor : source.tensors) {
    if (!other.contains(tensor.info.name) && !there.contains(tensor.info.storage)) names.push_back(tensor.info.name);
  }
  return names;
}

bool is_float(const LogicalTensor& tensor) {
  return tensor.spec.has_value() || is_readable_float(tensor.info.dtype);
}

// Not a number is worse than any number.
bool is_worse(const TensorComparison& a, const TensorComparison& b) {
  const double x = a.error.sqnr_db();
  const double y = b.error.sqnr_db();
  if (std::isnan(x) != std::isnan(y)) return std::isnan(x);
  if (x != y && !std::isnan(x)) return x < y;
  return a.name < b.name;
}

ErrorStats total_of(const std::vector<TensorComparison>& tensors) {
  const bool any_quantized =
      std::any_of(tensors.begin(), tensors.end(), [](const TensorComparison& t) { return t.quantized; });
  ErrorStats total;
  for (const TensorComparison& tensor : tensors) {
    if (tensor.quantized || !any_quantized) total.add(tensor.error);
  }
  return total;
}

}  // namespace

Comparison compare(const Checkpoint& original, const Checkpoint& other, Executor& executor) {
  Source source_a = describe(original);
  Source source_b = describe(other);
  gguf::restore_names(source_a, source_b);
  gguf::restore_names(source_b, source_a);
  const NameIndex index_a = index_of(source_a);
  const NameIndex index_b = index_of(source_b);
  const std::vector<TensorKind> kinds = classify(source_a);
  Comparison result;
  result.missing = only_in(source_a, index_b);
  result.extra = only_in(source_b, index_a);
  result.original_bytes = all_bytes(original);
  result.other_bytes = all_bytes(other);
  for (std::size_t i = 0; i < source_a.tensors.size(); ++i) {
    const LogicalTensor& a = source_a.tensors[i];
    const auto found = index_b.find(a.info.name);
    if (found == index_b.end()) continue;
    const LogicalTensor& b = source_b.tensors[found->second];
    if (is_float(a) && is_float(b) && comparable(a, b)) {
      const ChannelError error = compare_floats(original, a, other, b, kinds[i], executor);
      result.tensors.push_back({.name = a.info.name,
                                .shape = a.info.shape,
                                .spec = b.spec ? stored_spec_text(*b.spec) : std::string(to_string(b.info.dtype)),
                                .quantized = b.spec.has_value(),
                                .error = error.total,
                                .worst_channel = error.worst_channel,
                                .worst_channel_db = error.worst_db,
                                .original_bytes = stored_bytes(original, a),
                                .other_bytes = stored_bytes(other, b)});
    } else if (!a.spec && !b.spec && a.info.dtype == b.info.dtype && a.info.shape == b.info.shape &&
               equal_bytes(original, a.parts.front().tensor, other, b.parts.front().tensor)) {
      ++result.equal;
    } else {
      result.different.push_back(a.info.name);
    }
  }
  result.total = total_of(result.tensors);
  std::sort(result.tensors.begin(), result.tensors.end(), is_worse);
  return result;
}

}  // namespace mq
