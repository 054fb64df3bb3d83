// Observers watch data and report the range of each block, from which choose_qparams makes scales and zero points.
// An observer is used from one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "mq/quant_spec.hpp"
#include "mq/tensor.hpp"

namespace mq {

// Smallest and largest value seen; both 0 if nothing was.
struct Range {
  float lo = 0;
  float hi = 0;

  bool operator==(const Range&) const = default;
};

class Observer {
 public:
  virtual ~Observer() = default;

  // Takes one batch of floating-point values into account. Every batch has the same shape but for dimensions that the
  // granularity does not see.
  // Throws: Numeric on NaN or infinity, Usage on a type that is not a float or a shape that does not fit.
  virtual void observe(TensorView batch) = 0;

  // One range per block, in row-major order of the blocks.
  virtual std::vector<Range> ranges() const = 0;
};

// The smallest and largest values over all batches (PyTorch's MinMaxObserver and PerChannelMinMaxObserver).
class MinMaxObserver final : public Observer {
 public:
  explicit MinMaxObserver(Granularity granularity) : granularity_(granularity) {}
  void observe(TensorView batch) override;
  std::vector<Range> ranges() const override { return ranges_; }

 private:
  Granularity granularity_;
  std::vector<Range> ranges_;
};

}  // namespace mq
