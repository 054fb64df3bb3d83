#include "src/conv2d_run.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "src/matmul_product.hpp"
#include "src/module_setup.hpp"

namespace mq::detail {
namespace {

// Gathered pixels that stay in the second cache with what is multiplied by them.
constexpr std::int64_t kBandBytes = 256 << 10;
constexpr std::int64_t kLeastPositions = 32;

// The byte that stands for 0.
std::uint8_t zero_byte(DType dtype, const ActivationQuantizer::Params& params) {
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(params.zero_point) + (dtype == DType::UInt8 ? 128 : 0));
}

}  // namespace

Conv2dRun::Conv2dRun(const Conv2dWeights& weights, const Conv2dGeometry& geometry, const ModuleOptions& options,
                     const ImageShape& input, const ImageShape& output)
    : weights_(weights),
      geometry_(geometry),
      options_(options),
      input_(input),
      output_(output),
      quantizer_(input_quantizer(*options.activations)),
      stage_(options) {
  const std::int64_t fitting = kBandBytes / (weights.k() * static_cast<std::int64_t>(pixel_bytes()));
  band_positions_ = std::min(positions(), std::clamp(fitting, kLeastPositions, MatmulProduct::kBandRows));
}

bool Conv2dRun::sums_codes() const {
  if (!quantizer_ || !quantizer_->is_integer()) return false;
  return weights_.is_direct() || weights_.packed[0].image().is_integer();
}

std::int64_t Conv2dRun::bands() const {
  return weights_.is_direct() ? 1 : (positions() + band_positions_ - 1) / band_positions_;
}

PixelGrid Conv2dRun::grid() const {
  return {input_.height, input_.width, weights_.kernel_height, weights_.kernel_width, output_.width, geometry_};
}

Conv2dRun::ImageMemory Conv2dRun::carve_images(const ModuleInput& x, Carver& memory) const {
  ImageMemory images;
  if (!quantizer_) return images;
  const auto numel = static_cast<std::size_t>(input_.batch * image_numel());
  if (std::holds_alternative<std::span<const float>>(x)) images.codes = memory.take<std::int8_t>(numel);
  if (sums_codes()) {
    images.params = memory.take<ActivationQuantizer::Params>(static_cast<std::size_t>(input_.batch));
  } else {
    images.floats = memory.take<float>(numel);
  }
  return images;
}

// A product's memory does not grow with its rows alone: that of the last band may be cut otherwise.
std::size_t Conv2dRun::product_bytes() const {
  if (weights_.is_direct()) return 0;
  const ActivationRows none = {.k = weights_.k()};
  const ActivationReader reader(none, sums_codes() ? &*quantizer_ : nullptr);
  std::size_t most = 0;
  for (const PackedWeights& packed : weights_.packed) {
    for (const std::int64_t rows : {band_positions_, (positions() - 1) % band_positions_ + 1}) {
      most = std::max(most, MatmulProduct(packed, reader, {}, rows, serial_executor()).workspace_bytes());
    }
  }
  return most;
}

Conv2dRun::WorkerMemory Conv2dRun::carve_worker(Carver& memory) const {
  WorkerMemory worker;
  if (weights_.is_direct()) {
    const auto row = static_cast<std::size_t>(output_.width);
    worker.sums = memory.take<std::int32_t>(row);
    worker.results = memory.take<float>(row);
    return worker;
  }
  const auto rows = static_cast<std::size_t>(band_positions_);
  const auto outputs = static_cast<std::size_t>(weights_.out_per_group());
  worker.pixels = memory.take<std::byte>(rows * static_cast<std::size_t>(weights_.k()) * pixel_bytes());
  worker.results = memory.take<float>(rows * outputs);
  worker.codes = memory.take<std::uint8_t>(rows * outputs);
  const std::size_t bytes = product_bytes();
  worker.product = {memory.take<std::byte>(bytes), bytes};
  return worker;
}

void Conv2dRun::run(const ModuleInput& x, const ModuleOutput& y, const ForwardOptions& how) const {
  Executor& executor = how.executor != nullptr ? *how.executor : serial_executor();
  const std::int64_t tasks = input_.batch * weights_.groups * bands();
  const std::int64_t workers = std::min<std::int64_t>(tasks, executor.concurrency());

  MatmulWorkspace own;
  MatmulWorkspace& workspace = how.workspace != nullptr ? *how.workspace : own;
  Carver shared_size, worker_size;
  carve_images(x, shared_size);
  carve_worker(worker_size);
  Carver memory(workspace.reserve(shared_size.used() + static_cast<std::size_t>(workers) * worker_size.used()).data());
  const Images images = prepare(x, carve_images(x, memory), executor);
  std::byte* const own_memory = memory.take<std::byte>(static_cast<std::size_t>(workers) * worker_size.used());

  std::atomic<std::int64_t> next = 0;
  executor.parallel_for(workers, [&](std::int64_t index) {
    Carver mine(own_memory + static_cast<std::size_t>(index) * worker_size.used());
    const WorkerMemory worker = carve_worker(mine);
    for (std::int64_t i = next++; i < tasks; i = next++) {
      const Task task = {i / (weights_.groups * bands()), i / bands() % weights_.groups, i % bands()};
      weights_.is_direct() ? sum_directly(images, task, y, worker) : multiply(images, task, y, worker);
    }
  });
}

Conv2dRun::Images Conv2dRun::prepare(const ModuleInput& x, const ImageMemory& memory, Executor& executor) const {
  const ActivationRows rows = rows_of(x, input_.batch, image_numel());
  const Images given = {rows.view.dtype, rows.view.bytes.data(), memory.params};
  if (!quantizer_) return given;
  const std::optional<ActivationQuantizer::Params> fixed = fixed_params(*options_.activations);
  ActivationReader reader(rows, &*quantizer_, fixed);
  reader.share_params(nullptr);  // floats are read where they are
  const bool has_codes = given.dtype == DType::UInt8;
  executor.parallel_for(input_.batch, [&](std::int64_t i) {
    const std::int64_t at = i * image_numel();
    if (sums_codes()) {
      memory.params[i] = has_codes ? *fixed : reader.codes(i, nullptr, memory.codes + at);
    } else if (has_codes) {
      reader.row(i, memory.floats + at);
    } else {
      const float* const pixels = reader.row(i, nullptr);
      quantizer_->round_trip(pixels, static_cast<std::size_t>(image_numel()), reader.params_of(i, pixels),
                             reinterpret_cast<std::uint8_t*>(memory.codes + at), memory.floats + at);
    }
  });
  if (!sums_codes()) return {DType::Float32, reinterpret_cast<const std::byte*>(memory.floats), nullptr};
  if (has_codes) return given;
  return {DType::Int8, reinterpret_cast<const std::byte*>(memory.codes), memory.params};
}

void Conv2dRun::gather(const Images& images, const Task& task, std::int64_t first, std::int64_t count,
                       std::byte* pixels) const {
  if (images.dtype == DType::Float32) {
    const float* const planes = reinterpret_cast<const float*>(images.bytes) + planes_at(task);
    return gather_pixels(grid(), planes, weights_.in_per_group, first, count, 0.0f, reinterpret_cast<float*>(pixels));
  }
  const auto* const planes = reinterpret_cast<const std::uint8_t*>(images.bytes) + planes_at(task);
  gather_pixels(grid(), planes, weights_.in_per_group, first, count, zero_byte(images.dtype, images.params[task.image]),
                reinterpret_cast<std::uint8_t*>(pixels));
}

void Conv2dRun::multiply(const Images& images, const Task& task, const ModuleOutput& y,
                         const WorkerMemory& worker) const {
  const std::int64_t first = task.band * band_positions_, count = std::min(band_positions_, positions() - first);
  gather(images, task, first, count, worker.pixels);
  const auto bytes = static_cast<std::size_t>(count * weights_.k()) * pixel_bytes();
  const ActivationRows rows = {{images.dtype, {}, {worker.pixels, bytes}}, count, weights_.k()};
  std::optional<ActivationQuantizer::Params> params;
  if (images.params != nullptr) params = images.params[task.image];
  const ActivationReader reader(rows, params ? &*quantizer_ : nullptr, params);
  const auto outputs = static_cast<std::size_t>(weights_.out_per_group());
  std::span<const float> bias = options_.bias;
  if (!bias.empty()) bias = bias.subspan(static_cast<std::size_t>(task.group) * outputs, outputs);
  MatmulProduct product(weights_.packed[static_cast<std::size_t>(task.group)], reader, bias, count, serial_executor());
  product.run_band(0, count, worker.product, worker.results);
  store(task, first, count, y, worker);
}

void Conv2dRun::store(const Task& task, std::int64_t first, std::int64_t count, const ModuleOutput& y,
                      const WorkerMemory& worker) const {
  const std::int64_t outputs = weights_.out_per_group();
  const std::int64_t at = (task.image * weights_.out + task.group * outputs) * positions() + first;
  const auto n = static_cast<std::size_t>(count * outputs);
  // A few positions at a time, whose results stay in the first cache while all channels pass.
  const auto transpose = [&](const auto* from, auto* to) {
    constexpr std::int64_t kTogether = 32;
    for (std::int64_t begin = 0; begin < count; begin += kTogether) {
      const std::int64_t end = std::min(count, begin + kTogether);
      for (std::int64_t c = 0; c < outputs; ++c) {
        for (std::int64_t p = begin; p < end; ++p) to[c * positions() + p] = from[p * outputs + c];
      }
    }
  };
  if (const auto* floats = std::get_if<std::span<float>>(&y)) {
    stage_.finish(worker.results, n);
    transpose(worker.results, floats->data() + at);
  } else {
    stage_.finish(worker.results, n, worker.codes);
    transpose(worker.codes, std::get<std::span<std::uint8_t>>(y).data() + at);
  }
}

void Conv2dRun::sum_row(const Images& images, const Task& task, std::int64_t channel, std::int64_t row,
                        const WorkerMemory& worker) const {
  const PixelGrid pixels = grid();
  const std::int64_t taps = weights_.kernel_height * weights_.kernel_width, plane = input_.height * input_.width;
  std::fill_n(worker.sums, output_.width, 0);
  std::fill_n(worker.results, output_.width, 0.0f);
  for (std::int64_t c = 0; c < weights_.in_per_group; ++c) {
    const std::int64_t at = planes_at(task) + c * plane;
    const std::int16_t* const weights = weights_.direct.codes.data() + channel * weights_.k() + c * taps;
    if (images.dtype == DType::Float32) {
      add_pixels(pixels, reinterpret_cast<const float*>(images.bytes) + at, weights, row, worker.results);
      continue;
    }
    const auto zero = static_cast<std::int32_t>(images.params[task.image].zero_point);
    if (images.dtype == DType::UInt8) {
      const auto* const codes = reinterpret_cast<const std::uint8_t*>(images.bytes) + at;
      add_pixels(pixels, codes, zero + 128, weights, row, worker.sums);
    } else {
      add_pixels(pixels, reinterpret_cast<const std::int8_t*>(images.bytes) + at, zero, weights, row, worker.sums);
    }
  }
  if (images.dtype == DType::Float32) return;
  for (std::int64_t p = 0; p < output_.width; ++p) worker.results[p] = static_cast<float>(worker.sums[p]);
}

void Conv2dRun::sum_directly(const Images& images, const Task& task, const ModuleOutput& y,
                             const WorkerMemory& worker) const {
  const auto width = static_cast<std::size_t>(output_.width);
  const bool is_float = images.dtype == DType::Float32;
  const float x_scale = is_float ? 1.0f : images.params[task.image].scale;
  for (std::int64_t i = 0; i < weights_.out_per_group(); ++i) {
    const std::int64_t channel = task.group * weights_.out_per_group() + i;
    const float scale = weights_.direct.scales[static_cast<std::size_t>(channel)];
    const float bias = options_.bias.empty() ? 0.0f : options_.bias[static_cast<std::size_t>(channel)];
    for (std::int64_t row = 0; row < output_.height; ++row) {
      sum_row(images, task, channel, row, worker);
      float* const results = worker.results;
      // The steps of mq/matmul.hpp, so that both ways give the same bits.
      if (is_float) {
        for (std::size_t p = 0; p < width; ++p) results[p] = std::fma(results[p], scale, 0.0f);
      } else {
        // Products of integers with a scale do not vanish: what remains of adding 0 is its sign.
        for (std::size_t p = 0; p < width; ++p) results[p] = (results[p] * scale + 0.0f) * x_scale;
      }
      if (!options_.bias.empty()) std::for_each_n(results, width, [&](float& v) { v += bias; });
      const std::int64_t at = ((task.image * weights_.out + channel) * output_.height + row) * output_.width;
      if (const auto* floats = std::get_if<std::span<float>>(&y)) {
        stage_.finish(results, width);
        std::copy_n(results, width, floats->data() + at);
      } else {
        stage_.finish(results, width, std::get<std::span<std::uint8_t>>(y).data() + at);
      }
    }
  }
}

}  // namespace mq::detail
