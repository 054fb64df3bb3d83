// What becomes of the float results of a module: a ReLU, and codes where outputs have parameters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "mq/module.hpp"

namespace mq::detail {

class OutputStage {
 public:
  explicit OutputStage(const ModuleOptions& options);

  // n results in place, as floats.
  void finish(float* y, std::size_t n) const;
  // n results as codes, for outputs with parameters.
  void finish(const float* y, std::size_t n, std::uint8_t* codes) const;

  // Whether finish() in place does anything.
  bool changes_floats() const noexcept { return relu_ || has_codes_; }

 private:
  bool relu_ = false;
  bool has_codes_ = false;
  float scale_ = 1;
  float zero_point_ = 0;
  float least_ = 0;
};

}  // namespace mq::detail
