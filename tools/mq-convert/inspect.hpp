// A close look at one tensor.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/executor.hpp"
#include "mq/source.hpp"

namespace mq::tool {

struct CodeBar {
  std::int32_t first = 0;  // codes first..last
  std::int32_t last = 0;
  std::int64_t count = 0;
};

// What the codes of an integer encoding and the parameters of any are like.
struct CodeFigures {
  double bits_per_weight = 0;
  std::int64_t scales = 0;
  float scale_min = 0;
  float scale_max = 0;
  std::int64_t zero_points = 0;
  std::int32_t zero_point_min = 0;
  std::int32_t zero_point_max = 0;
  std::vector<CodeBar> histogram = {};  // empty for floats
};

// What the values are like, decoded if need be.
struct ValueFigures {
  float min = 0;
  float max = 0;
  float abs_max = 0;
  double mean = 0;
  double deviation = 0;  // standard deviation
  std::int64_t zeros = 0;
  std::int64_t nan = 0;
  std::int64_t infinite = 0;  // of which, as NaN, nothing above takes account
};

struct Inspection {
  LogicalTensor tensor;
  std::vector<TensorInfo> stored = {};      // of its parts, in their order
  std::optional<CodeFigures> codes = {};    // of quantized tensors
  std::optional<ValueFigures> values = {};  // of tensors that are floats, and not empty
  std::vector<double> first_values = {};    // floats, or integers
};

// Throws: Usage if there is no tensor of that name (suggests one), Io, Corrupt.
Inspection inspect(const Checkpoint& checkpoint, const Source& source, std::string_view name, Executor& executor);

}  // namespace mq::tool
