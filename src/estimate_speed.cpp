// How long the arithmetic of a plan takes: its heaviest kinds of steps, run on made-up weights.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mq/convert.hpp"
#include "mq/estimate.hpp"
#include "mq/memory.hpp"
#include "src/block_layout.hpp"
#include "src/null_writer.hpp"
#include "src/plan_steps.hpp"

namespace mq {
namespace {

constexpr std::int64_t kProbeNumel = std::int64_t{1} << 22;
constexpr std::int64_t kMaxCols = std::int64_t{1} << 16;
constexpr std::chrono::milliseconds kProbeTime(40);
constexpr std::size_t kMaxProbes = 4;

// One weight, made up: numbers of one exponent and either sign.
std::unique_ptr<Checkpoint> probe_checkpoint(DType dtype, Shape shape) {
  Buffer bytes(static_cast<std::size_t>(bytes_of(dtype, numel(shape))));
  const auto item = static_cast<std::size_t>(bytes_of(dtype, 1));
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    state = state * 1664525 + 1013904223;
    // The last byte of a number has its sign and the top of its exponent.
    bytes.data()[i] = static_cast<std::byte>(i % item == item - 1 ? 0x3c | (state >> 31 << 7) : state >> 24);
  }
  return make_checkpoint({{"probe.weight", Tensor(dtype, std::move(shape), std::move(bytes))}}, {}, "probe");
}

// Steps that cost the same for each byte, about.
struct Group {
  const Step* largest = nullptr;
  std::int64_t input_bytes = 0;
};

std::vector<Group> heaviest_groups(const Plan& plan) {
  std::map<std::string, Group> groups;
  for (const Step& step : plan.steps) {
    const TensorInfo& tensor = plan.source.tensors[step.inputs.front()].info;
    if (step.action == Step::Action::Drop || tensor.numel() == 0) continue;
    std::string key(to_string(tensor.dtype));
    if (step.action == Step::Action::Encode) key += ' ' + to_string(*step.spec);
    Group& group = groups[key];
    group.input_bytes += step.input_bytes;
    if (!group.largest || step.input_bytes > group.largest->input_bytes) group.largest = &step;
  }
  std::vector<Group> sorted;
  sorted.reserve(groups.size());
  for (const auto& [key, group] : groups) sorted.push_back(group);
  std::ranges::sort(sorted, std::ranges::greater(), &Group::input_bytes);
  if (sorted.size() > kMaxProbes) sorted.resize(kMaxProbes);
  return sorted;
}

// A plan for one weight of the step's kind: as wide, and as high as a probe may be.
Plan probe_plan(const Plan& plan, const Step& step, const Checkpoint& checkpoint) {
  Recipe recipe;
  if (step.spec) recipe.scheme = *step.spec;
  recipe.min_numel = 0;
  recipe.allow_nan = plan.recipe.allow_nan;
  recipe.sha256 = plan.recipe.sha256;
  recipe.scale_dtype = recipe.scheme.scale_dtype;
  if (step.quantizes()) recipe.dialect = step.dialect;
  if (step.action == Step::Action::Copy) recipe.exclude = {"*"};
  return make_plan(describe(checkpoint, Recognise::Nothing), recipe);
}

Shape probe_shape(const Plan& plan, const Step& step) {
  const MatrixShape matrix = matrix_shape(encoded_shape(step, plan.source), step.leading_dims);
  const std::int64_t cols = matrix.cols > kMaxCols ? kMaxCols : matrix.cols;
  return {std::clamp<std::int64_t>(kProbeNumel / cols, 1, matrix.rows), cols};
}

// Input bytes per second.
double measured_speed(const Plan& plan, const Step& step, Executor& executor) {
  using Clock = std::chrono::steady_clock;
  const TensorInfo& tensor = plan.source.tensors[step.inputs.front()].info;
  // Blocks of ggml are decoded at a speed that nothing here knows; their values go on as floats.
  const DType dtype = info(tensor.dtype).block_numel == 1 ? tensor.dtype : DType::Float32;
  const std::unique_ptr<Checkpoint> checkpoint = probe_checkpoint(dtype, probe_shape(plan, step));
  const Plan probe = probe_plan(plan, step, *checkpoint);
  double best = 0;
  const Clock::time_point end = Clock::now() + kProbeTime;
  do {
    NullWriter writer;
    const Clock::time_point begin = Clock::now();
    convert(*checkpoint, probe, writer, executor);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, static_cast<double>(probe.input_bytes) / std::max(seconds, 1e-9));
  } while (Clock::now() < end);
  const auto scale = static_cast<double>(step.input_bytes) / static_cast<double>(tensor.numel()) /
                     static_cast<double>(bytes_of(dtype, 1));
  return best * scale;
}

}  // namespace

SpeedEstimate estimate_speed(const Plan& plan, Executor& executor) {
  double seconds = 0;
  std::int64_t covered = 0;
  for (const Group& group : heaviest_groups(plan)) {
    seconds += static_cast<double>(group.input_bytes) / measured_speed(plan, *group.largest, executor);
    covered += group.input_bytes;
  }
  if (covered == 0) return {};
  const double speed = static_cast<double>(covered) / seconds;
  return {.seconds = static_cast<double>(plan.input_bytes) / speed, .input_bytes_per_second = speed};
}

}  // namespace mq
