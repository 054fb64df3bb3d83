#include "mq/activations.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "mq/convert.hpp"
#include "mq/memory.hpp"
#include "src/float_rows.hpp"

namespace mq {
namespace {

constexpr std::string_view kLeast = ".input_min", kMost = ".input_max", kWeight = ".weight";

std::string module_named(std::string_view name) {
  return std::string(name.ends_with(kWeight) ? name.substr(0, name.size() - kWeight.size()) : name);
}

void require_range(const Range& range, const std::string& file, const std::string& module) {
  if (std::isfinite(range.lo) && std::isfinite(range.hi) && range.lo <= range.hi) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "is no range of inputs",
               .file = file,
               .tensor = module,
               .expected = "two finite numbers, the first not above the second",
               .found = std::to_string(range.lo) + " to " + std::to_string(range.hi)});
}

float read_number(const Checkpoint& statistics, std::size_t index) {
  const TensorInfo& info = statistics.tensors()[index];
  if (!is_readable_float(info.dtype) || info.numel() != 1) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "is no range of inputs",
                 .file = statistics.path().string(),
                 .tensor = info.name,
                 .expected = "one number of a float type",
                 .found = std::string(to_string(info.dtype)) + " " + to_string(info.shape)});
  }
  float value = 0;
  widen(info.dtype, statistics.read(index).bytes().data(), 1, &value);
  return value;
}

// The number MODULE.input_min or MODULE.input_max, which must be there.
float require_number(const Checkpoint& statistics, const std::string& name) {
  if (const auto index = statistics.find(name)) return read_number(statistics, *index);
  throw Error({.code = ErrorCode::Usage,
               .message = "a range of inputs lacks an end",
               .file = statistics.path().string(),
               .tensor = name,
               .expected = "MODULE.input_min and MODULE.input_max",
               .found = "one of them"});
}

Tensor number_tensor(float value) {
  Buffer bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return {DType::Float32, {}, std::move(bytes)};
}

}  // namespace

void add_input_ranges(Analysis& analysis, const Checkpoint& statistics) {
  bool any = false;
  for (const TensorInfo& info : statistics.tensors()) {
    const std::string_view name = info.name;
    const bool least = name.ends_with(kLeast);
    if (!least && !name.ends_with(kMost)) continue;
    const std::string module(name.substr(0, name.size() - kLeast.size()));
    const Range range{require_number(statistics, module + std::string(kLeast)),
                      require_number(statistics, module + std::string(kMost))};
    require_range(range, statistics.path().string(), module);
    analysis.inputs.insert_or_assign(module + std::string(kWeight), range);
    any = true;
  }
  if (any) return;
  throw Error({.code = ErrorCode::Usage,
               .message = "has no ranges of inputs",
               .file = statistics.path().string(),
               .expected = "tensors MODULE.input_min and MODULE.input_max of one number each",
               .found = std::to_string(statistics.tensors().size()) + " other tensors"});
}

void save_input_ranges(const std::filesystem::path& path, const InputRanges& ranges, bool overwrite) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, range] : ranges) {
    const std::string module = module_named(name);
    require_range(range, path.string(), module);
    tensors.push_back({module + std::string(kLeast), number_tensor(range.lo)});
    tensors.push_back({module + std::string(kMost), number_tensor(range.hi)});
  }
  const std::unique_ptr<Checkpoint> checkpoint = make_checkpoint(std::move(tensors));
  const Plan plan = make_plan(describe(*checkpoint, Recognise::Nothing), {.task = Recipe::Task::Copy});
  const auto writer = create_checkpoint(path, plan.recipe.format, {.overwrite = overwrite});
  convert(*checkpoint, plan, *writer, *make_thread_executor(1));
}

}  // namespace mq
