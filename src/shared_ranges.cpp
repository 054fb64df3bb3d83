#include "src/shared_ranges.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "src/dialects/dialect.hpp"
#include "src/fused_sets.hpp"
#include "src/plan_steps.hpp"
#include "src/value_range.hpp"

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

// Of the finite values and 0.
Range finite_range(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const kernels::Range found = value_range(checkpoint, tensor);
  return {std::min(0.0f, found.lo), std::max(0.0f, found.hi)};
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
