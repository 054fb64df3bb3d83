#include "formats/gguf_type.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace mq::formats {
namespace {

struct Row {
  std::int32_t type;
  DType dtype;
};
constexpr std::array kTypes{
    Row{0, DType::Float32},   Row{1, DType::Float16}, Row{2, DType::Q4_0},         Row{3, DType::Q4_1},
    Row{6, DType::Q5_0},      Row{7, DType::Q5_1},    Row{8, DType::Q8_0},         Row{9, DType::Q8_1},
    Row{10, DType::Q2_K},     Row{11, DType::Q3_K},   Row{12, DType::Q4_K},        Row{13, DType::Q5_K},
    Row{14, DType::Q6_K},     Row{15, DType::Q8_K},   Row{16, DType::IQ2_XXS},     Row{17, DType::IQ2_XS},
    Row{18, DType::IQ3_XXS},  Row{19, DType::IQ1_S},  Row{20, DType::IQ4_NL},      Row{21, DType::IQ3_S},
    Row{22, DType::IQ2_S},    Row{23, DType::IQ4_XS}, Row{24, DType::Int8},        Row{25, DType::Int16},
    Row{26, DType::Int32},    Row{27, DType::Int64},  Row{28, DType::Float64},     Row{29, DType::IQ1_M},
    Row{30, DType::BFloat16}, Row{34, DType::TQ1_0},  Row{35, DType::TQ2_0},       Row{39, DType::MXFP4},
    Row{40, DType::NVFP4},    Row{41, DType::Q1_0},   Row{kGgmlQ2_0, DType::Q2_0},
};

// Types that were taken back. Those after the first two interleave the blocks of several rows.
struct Retired {
  std::int32_t type;
  std::string_view name;
};
constexpr std::array kRetired{
    Retired{4, "Q4_2"},        Retired{5, "Q4_3"},        Retired{31, "Q4_0_4_4"},
    Retired{32, "Q4_0_4_8"},   Retired{33, "Q4_0_8_8"},   Retired{36, "IQ4_NL_4_4, or I2_S of BitNet tools"},
    Retired{37, "IQ4_NL_4_8"}, Retired{38, "IQ4_NL_8_8"},
};

struct Span {
  std::int32_t first;
  std::int32_t last;
};
constexpr std::array kOfIkLlama{Span{97, 99}, Span{133, 158}, Span{202, 399}};

}  // namespace

std::optional<DType> ggml_dtype(std::int32_t type) noexcept {
  const auto row = std::ranges::find(kTypes, type, &Row::type);
  if (row == kTypes.end()) return std::nullopt;
  return row->dtype;
}

std::optional<std::int32_t> ggml_type(DType dtype) noexcept {
  const auto row = std::ranges::find(kTypes, dtype, &Row::dtype);
  if (row == kTypes.end()) return std::nullopt;
  return row->type;
}

UnknownGgmlType describe_unknown_ggml_type(std::int32_t type) {
  const std::string number = std::to_string(type);
  const auto retired = std::ranges::find(kRetired, type, &Retired::type);
  if (retired != kRetired.end()) {
    return {number + " (" + std::string(retired->name) + "), which is retired", "re-quantize with a current tool"};
  }
  const bool of_ik_llama =
      std::ranges::any_of(kOfIkLlama, [&](const Span& span) { return span.first <= type && type <= span.last; });
  if (of_ik_llama) return {number + ", which only ik_llama.cpp has", "re-quantize with llama.cpp"};
  return {number, "the file is of a newer or another tool"};
}

}  // namespace mq::formats
