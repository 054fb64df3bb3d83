#include "src/validate_structure.hpp"

#include <array>
#include <string_view>

namespace mq {
namespace {

// What compressed-tensors appends to the name of a weight (dialects/compressed_tensors.hpp).
constexpr std::array<std::string_view, 5> kPartSuffixes = {"_packed", "_scale", "_zero_point", "_shape", "_g_idx"};

std::string_view leaf(std::string_view name) {
  return name.substr(name.rfind('.') + 1);
}

// "layer.weight" for "layer.weight_scale"; empty for scales of activations ("input_scale") and for all else.
std::string_view weight_of_part(std::string_view name) {
  for (const std::string_view suffix : kPartSuffixes) {
    if (!name.ends_with(suffix)) continue;
    const std::string_view weight = name.substr(0, name.size() - suffix.size());
    if (leaf(weight).find("weight") != std::string_view::npos) return weight;
  }
  return {};
}

bool is_code_type(DType dtype) {
  return dtype == DType::Int8 || dtype == DType::Float8E4M3FN || dtype == DType::Float8E5M2;
}

}  // namespace

void check_structure(const Source& source, std::vector<Finding>& findings) {
  if (source.dialect != "compressed_tensors") return;
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.spec) continue;
    const SharedString& name = tensor.info.name;
    if (const std::string_view weight = weight_of_part(name); !weight.empty()) {
      findings.push_back({Finding::Severity::Failure, name,
                          "is a left-over part of a quantized weight: " + std::string(weight) +
                              " has not all the tensors that its encoding needs"});
    } else if (is_code_type(tensor.info.dtype) && leaf(name).find("weight") != std::string_view::npos) {
      findings.push_back({Finding::Severity::Failure, name,
                          "holds codes (" + std::string(to_string(tensor.info.dtype)) + ") without scales"});
    }
  }
}

}  // namespace mq
