#include "tools/mq-convert/schemes.hpp"

#include "mq/error.hpp"
#include "mq/gguf.hpp"
#include "mq/plan.hpp"
#include "mq/quant_spec.hpp"
#include "src/dialects/dialect.hpp"

namespace mq::tool {

namespace {

void try_dialect(const Source& source, const SchemeInfo& scheme, const Dialect& dialect, SchemeRow& row) {
  Recipe recipe{.scheme = scheme.spec, .dialect = std::string(dialect.name), .format = "hf_safetensors"};
  Analysis analysis;
  if (dialect.name == "gguf") {
    recipe.format = "gguf";
    analysis.gguf = std::make_shared<const GgufModel>(
        GgufModel{.architecture = "llama", .tensors = {{.name = "blk.0.ffn_up.weight"}}});
  }
  try {
    const Plan plan = make_plan(source, recipe, analysis);
    row.bits_per_weight = plan.steps.front().bits_per_weight;
    row.loads_in = plan.loads_in;
    row.dialect = plan.steps.front().dialect;
  } catch (const Error& refusal) {
    if (refusal.code() != ErrorCode::Usage) throw;
  }
}

}  // namespace

std::vector<SchemeRow> list_schemes() {
  // The plan for the smallest model there can be knows sizes and runtimes.
  Source source;
  LogicalTensor weight;
  weight.info = {.name = "model.layers.0.mlp.up_proj.weight", .dtype = DType::BFloat16, .shape = {4096, 4096}};
  weight.parts = {{"values", 0}};
  source.tensors = {weight};
  source.config = "{}";
  std::vector<SchemeRow> rows;
  for (const SchemeInfo& scheme : schemes()) {
    SchemeRow row{.name = std::string(scheme.name),
                  .spec = to_string(scheme.spec),
                  .bits_per_weight = bits_per_weight(scheme.spec, weight.info.shape),
                  .description = std::string(scheme.description)};
    for (const Dialect* dialect : all_dialects()) {
      if (dialect->outputs != nullptr && row.dialect.empty()) try_dialect(source, scheme, *dialect, row);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace mq::tool
