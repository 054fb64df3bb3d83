#include "mq/quantize.hpp"

#include <array>
#include <string>

#include "src/codecs/codec.hpp"
#include "src/codecs/double_quant.hpp"
#include "src/float_rows.hpp"
#include "src/qparams.hpp"
#include "src/quantized_rows.hpp"
#include "src/search.hpp"

namespace mq {
namespace {

// The parts of a tensor in memory.
class PartBuffers {
 public:
  explicit PartBuffers(std::vector<PartInfo> infos) : infos_(std::move(infos)) {
    for (const PartInfo& info : infos_) buffers_.emplace_back(static_cast<std::size_t>(info.rows * info.row_bytes));
  }

  // What encode() writes for the rows of a tile, or what finish() writes.
  std::vector<std::span<std::byte>> rows(const Tile& tile) { return spans(true, tile); }
  std::vector<std::span<std::byte>> whole() { return spans(false, {}); }

  std::vector<QuantizedTensor::Part> take(const Shape& shape) {
    std::vector<QuantizedTensor::Part> parts;
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      const PartInfo& part = infos_[i];
      Shape own = i == 0 ? shape : Shape{part.rows, part.row_bytes / info(part.dtype).block_bytes};
      parts.push_back({std::string(part.name), Tensor(part.dtype, std::move(own), std::move(buffers_[i]))});
    }
    return parts;
  }

 private:
  std::vector<std::span<std::byte>> spans(bool tiled, const Tile& tile) {
    std::vector<std::span<std::byte>> list(infos_.size());
    for (std::size_t i = 0; i < infos_.size(); ++i) {
      if (infos_[i].tiled != tiled) continue;
      list[i] = buffers_[i].span();
      if (!tiled) continue;
      const auto bytes = static_cast<std::size_t>(infos_[i].row_bytes);
      list[i] =
          list[i].subspan(static_cast<std::size_t>(tile.row) * bytes, static_cast<std::size_t>(tile.rows) * bytes);
    }
    return list;
  }

  std::vector<PartInfo> infos_;
  std::vector<Buffer> buffers_;
};

CodecRequest request_for(const QuantSpec& spec, std::span<const std::int64_t> shape) {
  return {.spec = spec, .layout = make_block_layout(shape, matrix_shape(shape), spec.granularity)};
}

QuantizedTensor encode(TensorView tensor, const QuantSpec& spec, const SearchOptions& search, const QParams* given) {
  const Codec& codec = codec_of(spec);
  require_encoder(spec);
  require_effort(spec, search.effort, {});
  codec.check(spec);
  FloatRows rows(tensor);
  CodecRequest request = request_for(spec, tensor.shape);
  require_importance(search, request.layout.matrix.cols, {});
  request.search = search;
  PartBuffers parts(codec.parts(request));
  const std::unique_ptr<CodecState> state = codec.begin(request, given);
  EncodeCounts counts;
  if (given == nullptr && codec.observes(request)) {
    rows.for_each_band([&](const Tile& tile, const float* x) { counts.add(codec.observe(*state, tile, x)); });
    codec.settle(*state);
    require_encodable(counts, spec, {});
  }
  rows.for_each_band(
      [&](const Tile& tile, const float* x) { counts.add(codec.encode(*state, tile, x, parts.rows(tile), nullptr)); });
  codec.finish(*state, parts.whole());
  require_encodable(counts, spec, {});
  Shape shape(tensor.shape.begin(), tensor.shape.end());
  return {spec, shape, parts.take(shape)};
}

}  // namespace

QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec) {
  return encode(tensor, spec, {.effort = Effort::Fast}, nullptr);
}

QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec, const SearchOptions& search) {
  return encode(tensor, spec, search, nullptr);
}

QuantizedTensor quantize(TensorView tensor, const QuantSpec& spec, const QParams& qparams) {
  return encode(tensor, spec, {.effort = Effort::Fast}, &qparams);
}

Tensor dequantize(const QuantizedTensor& tensor) {
  const QuantizedRows rows(tensor);
  const MatrixShape matrix = rows.layout().matrix;
  Buffer values(static_cast<std::size_t>(bytes_of(DType::Float32, matrix.numel())));
  rows.decode(0, matrix.rows, values.as<float>());
  return {DType::Float32, tensor.shape(), std::move(values)};
}

const Tensor* QuantizedTensor::find(std::string_view name) const noexcept {
  for (const Part& part : parts_) {
    if (part.name == name) return &part.tensor;
  }
  return nullptr;
}

const Tensor& QuantizedTensor::part(std::string_view name) const {
  if (const Tensor* found = find(name)) return *found;
  throw Error(ErrorCode::Usage, "a quantized tensor of " + to_string(spec_) + " has no part " + std::string(name));
}

QParams QuantizedTensor::qparams() const {
  const Tensor& stored = part("scale");
  QParams params;
  if (spec_.double_quant) {
    const auto codes = stored.as<std::uint8_t>();
    const auto absmax = part("nested_absmax").as<float>();
    params.scales = unnest_scales(
        {{codes.begin(), codes.end()}, {absmax.begin(), absmax.end()}, part("nested_offset").as<float>()[0]});
    return params;
  }
  params.scales.resize(static_cast<std::size_t>(numel(stored.shape())));
  widen(stored.dtype(), stored.bytes().data(), numel(stored.shape()), params.scales.data());
  if (spec_.mapping == Mapping::Asymmetric) {
    const Tensor& zero_points = part("zero_point");
    for (const std::byte code : zero_points.bytes()) {
      const auto value = static_cast<std::uint8_t>(code);
      params.zero_points.push_back(zero_points.dtype() == DType::Int8 ? static_cast<std::int8_t>(value) : value);
    }
  } else if (spec_.is_integer() && spec_.element == DType::UInt8) {
    params.zero_points.assign(params.scales.size(), 1 << (spec_.bits - 1));
  }
  return params;
}

}  // namespace mq
