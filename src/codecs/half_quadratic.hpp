// HQQ's solver for the zero point of a group, as its authors describe it: the scale stays that of the range, and the
// zero point is found by twenty half-quadratic steps for the error's p-norm with p = 0.7.
#pragma once

#include <span>

namespace mq {

struct HalfQuadratic {
  float scale = 0;  // of a code; 0 for a group without a width
  float zero = 0;   // y = (q - zero) * scale
};

// x: finite, with lo and hi its least and largest; codes are 0..most.
HalfQuadratic half_quadratic(std::span<const float> x, float lo, float hi, float most);

}  // namespace mq
