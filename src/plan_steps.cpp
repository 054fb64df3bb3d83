#include "src/plan_steps.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "src/dialects/compressed_tensors.hpp"
#include "src/dialects/dialect.hpp"
#include "src/dialects/torch_quantized.hpp"
#include "src/float_rows.hpp"
#include "src/fused_sets.hpp"
#include "src/json.hpp"
#include "src/kinds.hpp"
#include "src/plan_budget.hpp"
#include "src/plan_gguf.hpp"
#include "src/plan_layout.hpp"
#include "src/pool.hpp"
#include "src/stored_spec.hpp"

namespace mq {
namespace {

// Group sizes that people use and that divide what is grouped, for the message about one that does not.
std::string fitting_groups(std::int64_t numel, const Dialect& dialect) {
  std::string sizes;
  for (std::int64_t size = dialect.most_group; size >= dialect.least_group; size /= 2) {
    if (numel % size == 0) sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  }
  if (dialect.groups_cross_rows) return sizes.empty() ? "none" : sizes;
  if (sizes.empty()) return "only channel";
  return sizes + " or channel";
}

std::string fitting_blocks(std::int64_t cols) {
  return cols % 32 == 0 ? "q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl, blocks of 32" : "no blocks of ggml";
}

PerChannel channels_of(TensorKind kind) {
  return {kind == TensorKind::ConvTranspose ? 1 : 0};
}

// Tensors whose rows a group size does not divide, reported together.
class Indivisible {
 public:
  void add(const std::string& name, std::int64_t cols, std::int64_t size, const std::string& fitting) {
    if (count_++ < 20) {
      text_ += (text_.empty() ? "" : "; ") + printable(name) + ": rows of " + std::to_string(cols) + " by " +
               std::to_string(size) + ", fits: " + fitting;
    }
  }

  void raise() const {
    if (count_ == 0) return;
    std::string text = text_;
    if (count_ > 20) text += "; and " + std::to_string(count_ - 20) + " more";
    throw Error({.code = ErrorCode::Usage,
                 .message = "the group or block size does not divide the rows of " + std::to_string(count_) +
                            " tensor" + (count_ > 1 ? "s: " : ": ") + text,
                 .hint = "choose another size, give these tensors a --rule, or use --if-indivisible keep|channel"});
  }

 private:
  std::string text_;
  int count_ = 0;
};

class StepMaker {
 public:
  StepMaker(const Source& source, const Recipe& recipe, const Analysis& analysis, const GgufModel* gguf,
            std::vector<std::string>& notes)
      : source_(source), recipe_(recipe), analysis_(analysis), gguf_(gguf), notes_(notes) {}

  std::vector<Step> steps() {
    switch (recipe_.task) {
      case Recipe::Task::Quantize:
        return quantize_steps();
      case Recipe::Task::Dequantize:
        return dequantize_steps();
      case Recipe::Task::Repack:
        return repack_steps();
      case Recipe::Task::Copy:
        break;
    }
    return copy_steps();
  }

 private:
  std::vector<Step> quantize_steps() {
    std::vector<Decision> decisions = select(source_, recipe_);
    if (gguf_ != nullptr) apply_mix(source_, recipe_, *gguf_, decisions);
    if (recipe_.budget) notes_.push_back(choose_within_budget(decisions, source_, recipe_, analysis_));
    const std::unordered_map<std::uint64_t, std::size_t> tied = tied_names(decisions);
    std::vector<Step> steps;
    steps.reserve(decisions.size());
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      const LogicalTensor& tensor = source_.tensors[i];
      Step step = start(i, decisions[i].kind, decisions[i].reason);
      const auto owner = tied.find(tensor.info.storage);
      if (owner != tied.end() && owner->second != i) {
        step.action = Step::Action::Drop;
        step.reason = "tied to " + source_.tensors[owner->second].info.name + " by config.json";
      } else if (decisions[i].spec) {
        encode(step, decisions[i]);
      } else {
        keep(step);
      }
      step.by_scheme = decisions[i].by_scheme;
      steps.push_back(std::move(step));
    }
    indivisible_.raise();
    return steps;
  }

  std::vector<Step> dequantize_steps() {
    const std::vector<TensorKind> kinds = classify(source_);
    std::vector<Step> steps;
    steps.reserve(source_.tensors.size());
    for (std::size_t i = 0; i < source_.tensors.size(); ++i) {
      const LogicalTensor& tensor = source_.tensors[i];
      Step step =
          start(i, kinds[i], reasons_.share(tensor.spec ? "decoded from " + stored_spec_text(*tensor.spec) : "kept"));
      require_decodable(tensor.info);
      const bool is_float = tensor.spec || is_readable_float(tensor.info.dtype);
      const DType target = recipe_.dtype && is_float ? *recipe_.dtype : tensor.info.dtype;
      if (tensor.spec || target != tensor.info.dtype) cast(step, target);
      steps.push_back(std::move(step));
    }
    return steps;
  }

  std::vector<Step> repack_steps() {
    const std::vector<TensorKind> kinds = classify(source_);
    const Dialect& dialect = dialect_named(recipe_.dialect);
    std::vector<Step> steps;
    steps.reserve(source_.tensors.size());
    bool any = false;
    for (std::size_t i = 0; i < source_.tensors.size(); ++i) {
      const LogicalTensor& tensor = source_.tensors[i];
      Step step = start(i, kinds[i], "copied");
      if (tensor.spec) {
        step.reason = reasons_.share("repacked from " + std::string(tensor.dialect));
        step.action = Step::Action::Encode;
        step.repacks = any = true;
        step.dialect = dialect.name;
        step.spec = tensor.spec;
        if (tensor.spec->double_quant) {
          // Scales are read decoded, and stay so: to round them once more would change them.
          QuantSpec spec = *tensor.spec;
          spec.double_quant = false;
          step.spec = specs_.share(spec);
        }
        if (tensor.transposed) step.transforms = {{Transform::Kind::Transpose}};
      }
      steps.push_back(std::move(step));
    }
    if (!any) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "there is nothing to store in another layout: no weight is quantized",
                   .hint = "use quantize"});
    }
    return steps;
  }

  std::vector<Step> copy_steps() {
    std::vector<Step> steps;
    steps.reserve(source_.tensors.size());
    const SharedString reason = "copied";
    for (std::size_t i = 0; i < source_.tensors.size(); ++i) {
      if (source_.tensors[i].spec) throw Error(ErrorCode::Internal, "a copy plan takes stored tensors only");
      steps.push_back(start(i, TensorKind::Unknown, reason));
    }
    return steps;
  }

  Step start(std::size_t index, TensorKind kind, SharedString reason) const {
    Step step{.id = source_.tensors[index].info.name, .inputs = {index}, .kind = kind, .reason = std::move(reason)};
    step.leading_dims = source_.tensors[index].leading_dims;
    return step;
  }

  const LogicalTensor& input(const Step& step) const { return source_.tensors[step.inputs.front()]; }

  void cast(Step& step, DType dtype) {
    step.action = Step::Action::Encode;
    step.spec = specs_.share(cast_spec(dtype));
    step.dialect = "plain";
  }

  void keep(Step& step) {
    const LogicalTensor& tensor = input(step);
    require_decodable(tensor.info);
    const bool is_float = tensor.spec || is_readable_float(tensor.info.dtype);
    const DType target = recipe_.keep && is_float ? *recipe_.keep : tensor.info.dtype;
    if (tensor.spec || target != tensor.info.dtype) cast(step, target);
    if (target != tensor.info.dtype) {
      step.reason = reasons_.share(step.reason + ", as " + std::string(to_string(target)));
    }
  }

  // The decision is to quantize.
  void encode(Step& step, const Decision& decision) {
    QuantSpec spec = *decision.spec;
    require_encoder(spec);
    if (spec.codec == "float_cast") {
      // A tensor that already has the type is copied bit for bit.
      if (input(step).spec || input(step).info.dtype != spec.element) cast(step, spec.element);
      return;
    }
    const LogicalTensor& tensor = input(step);
    step.action = Step::Action::Encode;
    if (step.kind == TensorKind::Conv1D && gguf_ == nullptr) step.transforms = {{Transform::Kind::Transpose}};
    if (step.kind == TensorKind::Experts) step.leading_dims = 2;
    if (auto* channel = std::get_if<PerChannel>(&spec.granularity)) {
      if (step.kind == TensorKind::Conv1D || channel->axis == 0) *channel = channels_of(step.kind);
    }
    if (!fit_group(step, spec, decision.if_indivisible)) return;
    const Dialect& dialect = dialect_of(spec, step);
    step.dialect = dialect.name;
    if (&dialect == &kTorchQuantized) keep_axes(step, spec);
    if (decision.scale_dtype && is_quantized_block(spec.element)) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "ggml's blocks have scales of a type of their own",
                   .tensor = step.id,
                   .expected = "no type of scales",
                   .found = std::string(to_string(*decision.scale_dtype))});
    }
    spec.scale_dtype = decision.scale_dtype ? *decision.scale_dtype : dialect.scale_dtype(spec, tensor.info.dtype);
    step.spec = specs_.share(spec);
    if (const auto it = analysis_.ranges.find(step.id); it != analysis_.ranges.end()) step.range = it->second;
    if (spec.activation && !spec.activation->dynamic) step.input_range = input_range(step.id);
  }

  // Weights that runtimes join have one input, and one scale for it.
  std::optional<Range> input_range(const std::string& name) {
    const auto own = analysis_.inputs.find(name);
    if (own == analysis_.inputs.end()) return std::nullopt;
    const std::string set = fused_set_of(name);
    if (set.empty()) return own->second;
    if (input_sets_.empty()) {
      for (const auto& [weight, range] : analysis_.inputs) {
        const auto [it, fresh] = input_sets_.emplace(fused_set_of(weight), range);
        it->second = {std::min(it->second.lo, range.lo), std::max(it->second.hi, range.hi)};
      }
    }
    return input_sets_.at(set);
  }

  // In PyTorch's files, what PyTorch has a type for is of that type.
  const Dialect& dialect_of(const QuantSpec& spec, const Step& step) const {
    const Dialect& named = dialect_named(recipe_.dialect);
    const bool own =
        writes_torch(recipe_) && &named == &kCompressedTensors && is_torch_quantized(spec, step.leading_dims);
    return own ? kTorchQuantized : named;
  }

  // A quantized tensor stands where the float one stood: it has its shape, and names the dimension of its channels.
  static void keep_axes(Step& step, QuantSpec& spec) {
    if (!step.transposes()) return;
    step.transforms = {};
    if (auto* channel = std::get_if<PerChannel>(&spec.granularity)) channel->axis = 1;
  }

  // Applies --if-indivisible. Returns false if the tensor is kept instead.
  bool fit_group(Step& step, QuantSpec& spec, IfIndivisible if_indivisible) {
    const auto* group = std::get_if<PerGroup>(&spec.granularity);
    // Other outputs refuse blocks as such.
    const bool blocks = gguf_ != nullptr && is_quantized_block(spec.element);
    if (!group && !blocks) return true;
    const Shape shape = encoded_shape(step, source_);
    const std::int64_t size = group ? group->group_size : info(spec.element).block_numel;
    // Blocks do not span the last dimension; groups run along all that is no row.
    const std::int64_t cols = group ? matrix_shape(shape, step.leading_dims).cols : shape.empty() ? 1 : shape.back();
    if (cols % size == 0) return true;
    const Dialect& dialect = dialect_of(spec, step);
    // Only what is read as it is encoded can be cut elsewhere than at its rows.
    const bool turned = step.transposes() || input(step).transposed;
    const bool flat = dialect.groups_cross_rows && !turned && shape.size() == 2;
    const std::int64_t grouped = flat ? numel(shape) : cols;
    if (flat && group && grouped % size == 0) {
      step.reason = reasons_.share(step.reason + ", flattened: " + std::to_string(size) + " does not divide " +
                                   std::to_string(cols));
      return true;
    }
    if (if_indivisible == IfIndivisible::Channel && group) {
      step.reason = reasons_.share(step.reason + ", by channel: " + std::to_string(size) + " does not divide " +
                                   std::to_string(cols));
      spec.granularity = channels_of(step.kind);
      return true;
    }
    if (if_indivisible != IfIndivisible::Keep) {
      indivisible_.add(step.id, cols, size, blocks ? fitting_blocks(cols) : fitting_groups(grouped, dialect));
      return false;
    }
    Step kept = start(step.inputs.front(), step.kind,
                      reasons_.share("kept: " + std::to_string(size) + " does not divide " + std::to_string(cols)));
    keep(kept);
    step = std::move(kept);
    return false;
  }

  // Storage -> the one tensor to write, for models whose config.json ties head and embedding.
  std::unordered_map<std::uint64_t, std::size_t> tied_names(const std::vector<Decision>& decisions) const {
    std::unordered_map<std::uint64_t, std::size_t> owners;
    if (source_.config.empty()) return owners;
    const json::Value config = json::parse(source_.config, "config.json");
    const json::Value* tied = config.find("tie_word_embeddings");
    if (!tied || !tied->as_bool() || !*tied->as_bool()) return owners;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
      const std::uint64_t storage = source_.tensors[i].info.storage;
      if (storage != 0 && decisions[i].kind == TensorKind::Embedding) owners.emplace(storage, i);
    }
    return owners;
  }

  const Source& source_;
  const Recipe& recipe_;
  const Analysis& analysis_;
  const GgufModel* gguf_;
  std::vector<std::string>& notes_;
  std::map<std::string, Range> input_sets_;  // of Analysis::inputs, by fused_set_of()
  Indivisible indivisible_;
  Pool<SharedString> reasons_;
  Pool<Shared<QuantSpec>> specs_;
};

}  // namespace

QuantSpec cast_spec(DType dtype) {
  QuantSpec spec = parse_spec("fp16");
  spec.element = dtype;
  spec.bits = static_cast<int>(8 * bytes_of(dtype, 1));
  return spec;
}

Shape encoded_shape(const Step& step, const Source& source) {
  Shape shape = source.tensors[step.inputs.front()].info.shape;
  if (step.transposes()) std::swap(shape.front(), shape.back());
  if (!flattens(step, source)) return shape;
  const std::int64_t size = std::get<PerGroup>(step.spec->granularity).group_size;
  return {numel(shape) / size, size};
}

bool flattens(const Step& step, const Source& source) {
  const LogicalTensor& tensor = source.tensors[step.inputs.front()];
  const auto* const group = step.spec ? std::get_if<PerGroup>(&step.spec->granularity) : nullptr;
  if (group == nullptr || step.repacks || step.transposes() || tensor.transposed) return false;
  return matrix_shape(tensor.info.shape, step.leading_dims).cols % group->group_size != 0;
}

std::vector<Step> make_steps(const Source& source, const Recipe& recipe, const Analysis& analysis,
                             const GgufModel* gguf, std::vector<std::string>& notes) {
  StepMaker maker(source, recipe, analysis, gguf, notes);
  std::vector<Step> steps = maker.steps();
  if (gguf != nullptr) apply_gguf(source, *gguf, steps);
  return steps;
}

}  // namespace mq
