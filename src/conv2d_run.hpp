// One forward pass of a convolution: images quantized where that is asked for, then for each image and group bands of
// output positions, each position a row of the pixels it sees, times the weights. Outputs that share few inputs with
// others are summed from the pixels themselves, with the same result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "mq/quantized_conv2d.hpp"
#include "src/carver.hpp"
#include "src/conv2d_pixels.hpp"
#include "src/conv2d_weights.hpp"
#include "src/matmul_activations.hpp"
#include "src/output_stage.hpp"

namespace mq::detail {

class Conv2dRun {
 public:
  // The operands must outlive the object. There are output positions.
  Conv2dRun(const Conv2dWeights& weights, const Conv2dGeometry& geometry, const ModuleOptions& options,
            const ImageShape& input, const ImageShape& output);

  void run(const ModuleInput& x, const ModuleOutput& y, const ForwardOptions& how) const;

 private:
  // What the products read: codes, or floats.
  struct Images {
    DType dtype = DType::Float32;  // Int8 and UInt8 as ActivationRows has them
    const std::byte* bytes = nullptr;
    const ActivationQuantizer::Params* params = nullptr;  // of each image, for codes
  };
  struct ImageMemory {
    std::int8_t* codes = nullptr;
    float* floats = nullptr;
    ActivationQuantizer::Params* params = nullptr;
  };
  struct WorkerMemory {
    std::byte* pixels = nullptr;    // [position][k]
    float* results = nullptr;       // [position][output of the group]; of direct sums a row of positions
    std::uint8_t* codes = nullptr;  // of the results
    std::int32_t* sums = nullptr;
    std::span<std::byte> product;
  };
  struct Task {
    std::int64_t image, group, band;
  };

  // Whether exact sums of codes are formed, not sums of floats.
  bool sums_codes() const;
  std::int64_t bands() const;
  ImageMemory carve_images(const ModuleInput& x, Carver& memory) const;
  WorkerMemory carve_worker(Carver& memory) const;
  std::size_t product_bytes() const;

  Images prepare(const ModuleInput& x, const ImageMemory& memory, Executor& executor) const;
  void multiply(const Images& images, const Task& task, const ModuleOutput& y, const WorkerMemory& worker) const;
  void gather(const Images& images, const Task& task, std::int64_t first, std::int64_t count, std::byte* pixels) const;
  void store(const Task& task, std::int64_t first, std::int64_t count, const ModuleOutput& y,
             const WorkerMemory& worker) const;
  void sum_directly(const Images& images, const Task& task, const ModuleOutput& y, const WorkerMemory& worker) const;
  // results: a row of one output channel, before its scale and bias.
  void sum_row(const Images& images, const Task& task, std::int64_t channel, std::int64_t row,
               const WorkerMemory& worker) const;

  PixelGrid grid() const;
  std::int64_t positions() const { return output_.height * output_.width; }
  std::int64_t image_numel() const { return input_.channels * input_.height * input_.width; }
  std::size_t pixel_bytes() const { return sums_codes() ? 1 : sizeof(float); }
  // Element of the input where the pixels of an image and group begin.
  std::int64_t planes_at(const Task& task) const {
    return task.image * image_numel() + task.group * weights_.in_per_group * input_.height * input_.width;
  }

  const Conv2dWeights& weights_;
  const Conv2dGeometry& geometry_;
  const ModuleOptions& options_;
  ImageShape input_, output_;
  std::optional<ActivationQuantizer> quantizer_;
  OutputStage stage_;
  std::int64_t band_positions_;
};

}  // namespace mq::detail
