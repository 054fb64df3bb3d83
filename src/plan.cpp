#include "mq/plan.hpp"

#include <algorithm>
#include <compare>
#include <unordered_map>

#include "mq/estimate.hpp"
#include "src/dialects/dialect.hpp"
#include "src/dialects/gguf.hpp"
#include "src/metadata.hpp"
#include "src/plan_gguf.hpp"
#include "src/plan_layout.hpp"
#include "src/plan_limits.hpp"
#include "src/plan_search.hpp"
#include "src/plan_steps.hpp"
#include "src/pool.hpp"
#include "src/step_tiling.hpp"

namespace mq {
namespace {

// Lays out the stored tensors of a step and adds up its figures.
class OutputMaker {
 public:
  OutputMaker(Plan& plan, const Analysis& analysis) : plan_(plan), analysis_(analysis) {
    // As many outputs as can be foreseen: an encoded weight has three in most cases.
    std::size_t outputs = 0;
    for (const Step& step : plan.steps) outputs += step.quantizes() ? 3 : 1;
    plan.layout.tensors.reserve(outputs);
    owners_.reserve(outputs);
  }

  void add(Step& step) {
    const LogicalTensor& tensor = plan_.source.tensors[step.inputs.front()];
    step.input_bytes = tensor.stored_bytes;
    plan_.input_bytes += step.input_bytes;
    if (step.action == Step::Action::Drop) return;
    if (tensor.info.file != input_file_ || &tensor == plan_.source.tensors.data()) {
      input_file_ = tensor.info.file;
      file_ = output_file(plan_.recipe, tensor.info.file);
    }
    if (step.action == Step::Action::Copy) {
      TensorInfo info = tensor.info;
      info.file = file_;
      info.storage = 0;
      if (!step.output_name.empty()) info.name = step.output_name;
      add_output(step, std::move(info));
    } else {
      add_encoded(step);
    }
    const std::int64_t numel = tensor.info.numel();
    step.bits_per_weight = numel > 0 ? 8.0 * static_cast<double>(step.output_bytes) / static_cast<double>(numel) : 0;
    plan_.output_bytes += step.output_bytes;
  }

  // Throws: Usage if two steps want one name.
  void require_unique_names() && {
    // By sorting: hostile names can make a hash table slow.
    std::ranges::sort(owners_);
    const auto twice = std::ranges::adjacent_find(owners_, {}, &Owner::name);
    if (twice == owners_.end()) return;
    const auto from = [&](const Owner& owner) { return "one from " + printable(plan_.steps[owner.step].id); };
    throw Error({.code = ErrorCode::Usage,
                 .message = "two tensors of the output would have the same name",
                 .tensor = std::string(twice->name),
                 .found = from(twice[0]) + ", " + from(twice[1])});
  }

 private:
  void add_encoded(Step& step) {
    const Dialect& dialect = dialect_named(step.dialect);
    try {
      DialectRequest request = make_request(dialect, step.id, encoded_shape(step, plan_.source), step.leading_dims,
                                            file_, *step.spec, plan_.source.tensors[step.inputs.front()].info.dtype);
      request.input_range = step.input_range;
      if (flattens(step, plan_.source)) request.weight_shape = plan_.source.tensors[step.inputs.front()].info.shape;
      std::vector<StoredOutput> outputs = dialect.outputs(request);
      require_whole_rows(step, outputs, request.codec.layout.matrix);
      if (!step.output_name.empty()) outputs.front().info.name = step.output_name;
      const LogicalTensor& tensor = plan_.source.tensors[step.inputs.front()];
      const char* const why =
          step.repacks ? nullptr : choose_effort(step, tensor, request, outputs, plan_.recipe, analysis_);
      if (why != nullptr) step.reason = reasons_.share(step.reason + why);
      for (StoredOutput& stored : outputs) add_output(step, std::move(stored.info));
      if (!step.repacks) step.state_bytes = codec_of(*step.spec).state_bytes(request.codec);
      for (const StoredPart& part : tensor.parts) {
        // Decoded before the step begins.
        if (part.form.value == PartForm::Value::Nested) step.state_bytes += tensor.info.numel() / 8;
      }
    } catch (const Error& problem) {
      if (!problem.details().tensor.empty()) throw;
      ErrorDetails details = problem.details();
      details.tensor = step.id;
      throw Error(std::move(details));
    }
  }

  // Which columns are outliers follows from all rows, and what is taken out of a row from all of it.
  void require_whole_rows(const Step& step, std::span<const StoredOutput> outputs, const MatrixShape& matrix) const {
    const bool splits = step.spec->outliers > 0 && !step.repacks;
    if (!splits || !reads_cut_rows(step, plan_.source.tensors[step.inputs.front()], matrix, outputs)) return;
    throw Error({.code = ErrorCode::Usage,
                 .message = "outlier columns are split from rows that are read whole: those of this weight are columns "
                            "of the file, or too long",
                 .tensor = step.id,
                 .hint = "keep it with --exclude, or give it a --rule"});
  }

  void add_output(Step& step, TensorInfo info) {
    step.output_bytes += info.size_bytes();
    owners_.push_back({info.name, static_cast<std::size_t>(&step - plan_.steps.data())});
    step.outputs.push_back(plan_.layout.tensors.size());
    plan_.layout.tensors.push_back(std::move(info));
  }

  struct Owner {
    std::string_view name;  // of the layout
    std::size_t step;
    auto operator<=>(const Owner&) const = default;  // NOLINT(modernize-use-nullptr): not its own zero
  };

  Plan& plan_;
  const Analysis& analysis_;
  SharedString input_file_;  // of the step before
  SharedString file_;        // what became of it
  Pool<SharedString> reasons_;
  std::vector<Owner> owners_;
};

void add_notes(Plan& plan) {
  std::unordered_map<std::uint64_t, std::size_t> first;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const std::uint64_t storage = plan.source.tensors[step.inputs.front()].info.storage;
    if (step.action == Step::Action::Drop) plan.notes.push_back(step.id + ": not written, " + step.reason);
    if (storage == 0 || step.action == Step::Action::Drop) continue;
    const auto [it, fresh] = first.emplace(storage, i);
    if (!fresh)
      plan.notes.push_back(step.id + ": shares its bytes with " + plan.steps[it->second].id + ", written again");
  }
  if (plan.source.dialect != "plain" && plan.recipe.task == Recipe::Task::Quantize) {
    plan.notes.push_back("the source is already quantized (" + plan.source.dialect +
                         "): errors are relative to its decoded weights");
  }
}

}  // namespace

bool Step::transposes() const noexcept {
  return std::ranges::any_of(transforms, [](const Transform& t) { return t.kind == Transform::Kind::Transpose; });
}

std::int32_t Step::interleaved_heads() const noexcept {
  for (const Transform& transform : transforms) {
    if (transform.kind == Transform::Kind::InterleaveHalves) return transform.heads;
  }
  return 0;
}

Plan make_plan(Source source, const Recipe& recipe, const Analysis& analysis) {
  require_sane_size(source, recipe.limits);
  if (recipe.format == kAutoFormat) throw Error(ErrorCode::Usage, "the recipe leaves the output's format open");
  const GgufModel* const gguf = require_gguf_model(source, recipe, analysis);
  Plan plan{.recipe = recipe, .source = std::move(source)};
  if (gguf != nullptr) plan.recipe.dialect = kGgufDialect.name;
  plan.steps = make_steps(plan.source, plan.recipe, analysis, gguf, plan.notes);
  OutputMaker maker(plan, analysis);
  for (Step& step : plan.steps) maker.add(step);
  if (gguf != nullptr) add_constants(plan, *gguf);
  std::move(maker).require_unique_names();
  add_notes(plan);
  finish_layout(plan, gguf);
  plan.layout.later_bytes = report_bound_bytes(plan);
  if (plan.layout.later_bytes != 0) plan.layout.later_names.emplace_back(kReportName);
  return plan;
}

}  // namespace mq
