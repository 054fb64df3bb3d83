#include "formats/torch_quantized.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

namespace mq::formats::torch {
namespace {

using pickle::Kind;
using Part = QuantizedTensors::Part;

// Integers of 4 or 2 bits, the first in the lowest bits of a byte, delivered one per byte.
class Unpacked final : public ElementSource {
 public:
  Unpacked(const Blob& blob, std::int64_t offset, int per_byte) : blob_(blob), offset_(offset), per_byte_(per_byte) {}

  void read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    if (count == 0) return;
    const std::int64_t begin = offset_ + first;
    const std::int64_t first_byte = begin / per_byte_;
    std::vector<std::byte> packed(static_cast<std::size_t>((begin + count - 1) / per_byte_ + 1 - first_byte));
    blob_.read(static_cast<std::uint64_t>(first_byte), packed);
    const int bits = 8 / per_byte_;
    const auto mask = std::byte{static_cast<unsigned char>((1 << bits) - 1)};
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = begin + i;
      const std::byte byte = packed[static_cast<std::size_t>(at / per_byte_ - first_byte)];
      out[static_cast<std::size_t>(i)] = (byte >> (static_cast<int>(at % per_byte_) * bits)) & mask;
    }
  }

 private:
  const Blob& blob_;
  std::int64_t offset_;
  int per_byte_;
};

class QuantizedReader {
 public:
  QuantizedReader(const Values& values, const TensorCall& call, std::string_view name, Storages& storages,
                  const Backing& backing)
      : arguments_(values, call.node, name),
        graph_(values.graph()),
        call_(call),
        name_(name),
        storages_(storages),
        big_endian_(backing.big_endian()) {}

  // (storage, offset, size, stride, parameters, requires_grad, hooks)
  QuantizedTensors read() {
    const auto args = graph_.items(call_.arguments);
    arguments_.require_count(args.size(), 7, 7);
    arguments_.require_bool(args[5], "requires_grad");
    arguments_.require_hooks(args[6]);
    read_integers(args);
    read_parameters(args[4]);
    return std::move(out_);
  }

 private:
  void read_integers(std::span<const NodeId> args) {
    const StorageUse use = storage_use(arguments_, args[0]);
    if (!use.type.quantized) arguments_.corrupt("quantized tensor over storage of class " + std::string(use.type.name));
    StridedView view{.offset = arguments_.index(args[1], "storage offset"),
                     .shape = arguments_.indices(args[2], "size"),
                     .strides = arguments_.indices(args[3], "stride")};
    const auto item_bytes = static_cast<std::uint64_t>(info(*use.type.dtype).block_bytes);
    const auto per_byte = static_cast<std::uint64_t>(use.type.values_per_byte);
    require_extent(arguments_, view, item_bytes, static_cast<std::uint64_t>(use.numel) * per_byte);
    if (numel(view.shape) == 0) view.offset = 0;
    view.offset += use.first * use.type.values_per_byte;
    const Blob& blob = storages_.find(use.storage, call_.node, std::string(name_));
    Part part{.suffix = "", .dtype = *use.type.dtype, .shape = view.shape, .place = {}};
    if (per_byte == 1) {
      part.place = place_of(blob, std::move(view));
      part.place.big_endian = big_endian_;
    } else {
      if (!is_contiguous(view)) {
        arguments_.fail(ErrorCode::Unsupported,
                        "a strided tensor of class " + std::string(use.type.name) + " is not read");
      }
      part.place.computed = std::make_shared<Unpacked>(blob, view.offset, use.type.values_per_byte);
    }
    out_.parts.push_back(std::move(part));
  }

  void read_parameters(NodeId id) {
    const auto fields = arguments_.tuple(id, "parameters of a quantized tensor");
    if (fields.empty() || graph_.kind(fields[0]) != Kind::Global) arguments_.corrupt("quantization scheme of no name");
    const pickle::Global& scheme = graph_.global(fields[0]);
    const bool per_tensor = scheme.name == "per_tensor_affine" || scheme.name == "per_tensor_symmetric";
    const bool per_channel = scheme.name == "per_channel_affine" || scheme.name == "per_channel_symmetric" ||
                             scheme.name == "per_channel_affine_float_qparams";
    if (scheme.module != "torch" || (!per_tensor && !per_channel)) {
      arguments_.fail(ErrorCode::Unsupported, "quantization scheme " + pickle::to_string(scheme) + " is not read");
    }
    if (fields.size() != (per_tensor ? 3U : 4U)) {
      arguments_.corrupt("parameters of a quantized tensor", per_tensor ? "3" : "4", std::to_string(fields.size()));
    }
    const Shape& shape = out_.parts.front().shape;
    Shape keep(shape.size(), 1);
    if (per_tensor) {
      const double scale = arguments_.number(fields[1], "scale");
      add_values(kScaleSuffix, DType::Float64, keep, {std::bit_cast<std::int64_t>(scale)});
      add_values(kZeroPointSuffix, DType::Int64, keep, {arguments_.integer(fields[2], "zero point")});
      return;
    }
    const std::int64_t axis = arguments_.index(fields[3], "axis of a quantized tensor");
    if (axis >= static_cast<std::int64_t>(shape.size())) {
      arguments_.corrupt("axis of a quantized tensor", "less than " + std::to_string(shape.size()),
                         std::to_string(axis));
    }
    keep[static_cast<std::size_t>(axis)] = shape[static_cast<std::size_t>(axis)];
    add_channels(kScaleSuffix, fields[1], keep, axis);
    add_channels(kZeroPointSuffix, fields[2], keep, axis);
  }

  // Old files hold lists of numbers, newer ones tensors.
  void add_channels(std::string_view suffix, NodeId id, const Shape& keep, std::int64_t axis) {
    const std::int64_t channels = keep[static_cast<std::size_t>(axis)];
    if (graph_.kind(id) == Kind::List || graph_.kind(id) == Kind::Tuple) {
      const auto items = graph_.items(id);
      require_channels(suffix, static_cast<std::int64_t>(items.size()), channels);
      const bool integers = std::ranges::all_of(items, [&](NodeId item) { return graph_.kind(item) == Kind::Int; });
      std::vector<std::int64_t> bits;
      for (const NodeId item : items) {
        bits.push_back(integers ? graph_.integer(item)
                                : std::bit_cast<std::int64_t>(arguments_.number(item, "parameter of a channel")));
      }
      return add_values(suffix, integers ? DType::Int64 : DType::Float64, keep, bits);
    }
    const TensorCall call = tensor_call(arguments_.values(), id);
    if (call.kind != TensorKind::Dense) arguments_.corrupt("parameters of the channels of the wrong type");
    DenseTensor tensor = dense_tensor(arguments_.values(), call, name_);
    if (tensor.view.shape.size() != 1) arguments_.corrupt("parameters of the channels that are no vector");
    require_channels(suffix, tensor.view.shape[0], channels);
    StridedView view{.offset = tensor.view.offset, .shape = keep, .strides = Shape(keep.size(), 1)};
    view.strides[static_cast<std::size_t>(axis)] = tensor.view.strides[0];
    Part part{.suffix = std::string(suffix), .dtype = tensor.dtype, .shape = keep, .place = {}};
    part.place = place_of(storages_.find(tensor.storage, call.node, std::string(name_)), std::move(view));
    part.place.big_endian = big_endian_;
    out_.parts.push_back(std::move(part));
  }

  void require_channels(std::string_view suffix, std::int64_t found, std::int64_t channels) const {
    if (found == channels) return;
    arguments_.corrupt("number of " + std::string(suffix.substr(1)) + "s", std::to_string(channels),
                       std::to_string(found));
  }

  void add_values(std::string_view suffix, DType dtype, const Shape& shape, const std::vector<std::int64_t>& bits) {
    std::vector<std::byte> bytes(bits.size() * sizeof(std::int64_t));
    std::memcpy(bytes.data(), bits.data(), bytes.size());
    const auto& blob = out_.blobs.emplace_back(std::make_unique<MemoryBlob>(std::move(bytes)));
    out_.parts.push_back({std::string(suffix), dtype, shape, {.blob = blob.get(), .contiguous = true}});
  }

  Arguments arguments_;
  const pickle::Graph& graph_;
  const TensorCall& call_;
  std::string_view name_;
  Storages& storages_;
  bool big_endian_;
  QuantizedTensors out_;
};

}  // namespace

QuantizedTensors quantized_tensors(const Values& values, const TensorCall& call, std::string_view name,
                                   Storages& storages, const Backing& backing) {
  return QuantizedReader(values, call, name, storages, backing).read();
}

}  // namespace mq::formats::torch
