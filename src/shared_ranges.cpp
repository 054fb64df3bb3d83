#include "src/shared_ranges.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "src/active_table.hpp"
#include "src/dialects/dialect.hpp"
#include "src/fused_sets.hpp"
#include "src/matrix_reader.hpp"
#include "src/plan_steps.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

// Whether the encoding looks at all values first, unless their range is known.
bool takes_range(const Plan& plan, const Step& step) {
  if (step.repacks) return false;
  const Dialect& dialect = dialect_named(step.dialect);
  if (!dialect.joins_sets) return false;
  CodecRequest request = make_request(dialect, step.id, encoded_shape(step, plan.source), step.leading_dims, "",
                                      *step.spec, plan.source.tensors[step.inputs.front()].info.dtype)
                             .codec;
  const Codec& codec = codec_of(*step.spec);
  if (!codec.observes(request)) return false;
  request.range = Range{};
  return !codec.observes(request);
}

Range finite_range(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const MatrixReader reader(checkpoint, tensor);
  const TileGrid grid = make_reading_grid(reader.shape(), tensor.transposed || stores_strips(tensor));
  Scratch scratch;
  std::vector<float> values;
  Range range;
  for (std::int64_t i = 0; i < grid.count(); ++i) {
    const Tile tile = grid.tile(i);
    const auto numel = static_cast<std::size_t>(tile.rows * tile.cols);
    if (values.size() < numel) values.resize(numel);
    reader.read(tile, values.data(), scratch);
    kernels::Range found;
    active_table().range(values.data(), 1, numel, &found);
    range = {std::min(range.lo, found.lo), std::max(range.hi, found.hi)};
  }
  return range;
}

}  // namespace

SharedRanges shared_ranges(const Checkpoint& checkpoint, const Plan& plan, const std::vector<bool>& done,
                           Executor& executor) {
  std::map<std::string, std::vector<std::size_t>> sets;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    if (!plan.steps[i].quantizes()) continue;
    const std::string set = fused_set_of(plan.steps[i].id);
    if (!set.empty() && takes_range(plan, plan.steps[i])) sets[set].push_back(i);
  }
  std::erase_if(sets, [&](const auto& set) {
    return set.second.size() < 2 || std::ranges::all_of(set.second, [&](std::size_t i) { return done[i]; });
  });
  std::vector<std::size_t> members;
  for (const auto& [name, steps] : sets) members.insert(members.end(), steps.begin(), steps.end());
  std::vector<Range> own(members.size());
  executor.parallel_for(static_cast<std::int64_t>(members.size()), [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    const Step& step = plan.steps[members[at]];
    own[at] = step.range ? *step.range : finite_range(checkpoint, plan.source.tensors[step.inputs.front()]);
  });
  SharedRanges shared;
  std::size_t at = 0;
  for (const auto& [name, steps] : sets) {
    Range all = own[at];
    for (std::size_t i = 0; i < steps.size(); ++i, ++at) {
      all = {std::min(all.lo, own[at].lo), std::max(all.hi, own[at].hi)};
    }
    for (const std::size_t step : steps) shared.emplace(step, all);
  }
  return shared;
}

}  // namespace mq
