#include "tools/mq-convert/schemes.hpp"

#include "mq/error.hpp"
#include "mq/plan.hpp"
#include "mq/quant_spec.hpp"

namespace mq::tool {

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
    Recipe recipe;
    recipe.scheme = scheme.spec;
    recipe.format = "hf_safetensors";
    SchemeRow row{.name = std::string(scheme.name),
                  .spec = to_string(scheme.spec),
                  .bits_per_weight = bits_per_weight(scheme.spec, weight.info.shape),
                  .description = std::string(scheme.description)};
    try {
      const Plan plan = make_plan(source, recipe);
      row.bits_per_weight = plan.steps.front().bits_per_weight;
      row.loads_in = plan.loads_in;
      row.written = true;
    } catch (const Error& refusal) {
      if (refusal.code() != ErrorCode::Usage) throw;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace mq::tool
