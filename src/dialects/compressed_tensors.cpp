#include "src/dialects/compressed_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "src/dialects/reader.hpp"
#include "src/qparams.hpp"

namespace mq {
namespace compressed_tensors {

bool is_fp4(const QuantSpec& spec) noexcept {
  return spec.codec == "nvfp4" || spec.codec == "mxfp4";
}

bool has_small_scales(const QuantSpec& spec) noexcept {
  return is_fp4(spec) || spec.codec == "mxfp8";
}

std::string_view format_of(const QuantSpec& spec) {
  if (spec.codec == "nvfp4") return "nvfp4-pack-quantized";
  if (spec.codec == "mxfp4") return "mxfp4-pack-quantized";
  if (spec.codec == "mxfp8") return "mxfp8-quantized";
  if (spec.codec == "fp8") return "float-quantized";
  return spec.activation ? "int-quantized" : "pack-quantized";
}

bool has_static_activation(const QuantSpec& spec) noexcept {
  return spec.activation && !spec.activation->dynamic;
}

bool is_standard(const Step& step, DType original) {
  const QuantSpec& spec = *step.spec;
  // Scales of 8 bits do not tell the type of the weights.
  if (has_small_scales(spec)) return original == DType::BFloat16 && step.transforms.empty() && step.leading_dims == 1;
  const auto* channel = std::get_if<PerChannel>(&spec.granularity);
  return spec.element != DType::UInt8 && spec.element != DType::Float8E5M2 && !(channel && channel->axis != 0) &&
         step.transforms.empty() && step.leading_dims == 1 && spec.scale_dtype == original;
}

}  // namespace compressed_tensors

namespace {

using compressed_tensors::format_of;
using compressed_tensors::has_small_scales;
using compressed_tensors::has_static_activation;
using compressed_tensors::is_fp4;
using compressed_tensors::make_config;

DType scale_dtype(const QuantSpec& spec, DType original) {
  if (has_small_scales(spec)) return *spec.scale_dtype;
  switch (original) {
    case DType::Float16:
    case DType::BFloat16:
      return original;
    default:
      return DType::Float32;
  }
}

CodeForm form(const QuantSpec& spec) {
  return is_fp4(spec) || format_of(spec) == "pack-quantized" ? CodeForm::Packed : CodeForm::Bytes;
}

// [grid rows, grid cols], with the leading dimensions of an expert stack spelled out; one value for a whole tensor.
Shape grid_shape(const DialectRequest& request) {
  const BlockLayout& layout = request.codec.layout;
  if (std::holds_alternative<PerTensor>(request.codec.spec.granularity)) return {1};
  if (request.leading_dims > 1 && layout.grid_rows == layout.matrix.rows) {
    Shape shape(request.shape.begin(), request.shape.begin() + request.leading_dims);
    shape.push_back(layout.grid_cols);
    return shape;
  }
  return {layout.grid_rows, layout.grid_cols};
}

Shape packed_shape(const DialectRequest& request, std::int64_t words) {
  Shape shape{request.codec.layout.matrix.rows};
  if (request.leading_dims > 1) shape.assign(request.shape.begin(), request.shape.begin() + request.leading_dims);
  shape.push_back(words);
  return shape;
}

// The dimensions as 64-bit integers.
std::vector<std::byte> shape_bytes(const DialectRequest& request) {
  const auto bytes = std::as_bytes(std::span(request.shape));
  return {bytes.begin(), bytes.end()};
}

void check_static_activation(const DialectRequest& request) {
  const auto refuse = [&](std::string message, std::string expected, std::string hint) {
    throw Error({.code = ErrorCode::Usage,
                 .message = std::move(message),
                 .tensor = request.name,
                 .expected = std::move(expected),
                 .hint = std::move(hint)});
  };
  if (request.shape.size() != 2 || request.leading_dims != 1 || !request.name.ends_with(".weight")) {
    refuse("static activations are those of Linear layers", "a matrix called NAME.weight",
           "use :dyn, or keep it with --exclude");
  }
  if (request.input_range) return;
  const std::string module = module_of(request.name);
  refuse("the range of what this layer takes in is not known, from which the scale of a static activation is made",
         module + ".input_min and " + module + ".input_max in the file of --stats",
         "calibrate, use :dyn, or keep it with --exclude");
}

// What can be held instead of an encoding that cannot.
std::string nearest_to(const QuantSpec& spec) {
  if (spec.codec == "mxfp4") return "use mxfp4:g32";
  if (spec.codec == "mxfp8") return "use mxfp8";
  if (spec.codec == "outliers") return "outlier columns are those of --dialect mono_quant";
  if (spec.codec != "hqq") return "nf4 and fp4 are those of --dialect bitsandbytes";
  return "no layout holds real zero points; int" + std::to_string(spec.bits) + ":" + to_string(spec.granularity) +
         ":asym is near";
}

void check(const DialectRequest& request) {
  const QuantSpec& spec = request.codec.spec;
  const auto refuse = [&](std::string expected, std::string hint) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "compressed-tensors cannot hold this encoding",
                 .tensor = request.name,
                 .expected = std::move(expected),
                 .found = to_string(spec),
                 .hint = std::move(hint)});
  };
  if (spec.codec == "ggml") {
    refuse("an integer or fp8 encoding", "ggml's blocks belong into a GGUF file: call the output NAME.gguf; int" +
                                             std::to_string(spec.bits) + ":g32 is near");
  }
  const bool blocks_of_32 = spec.codec == "mxfp4" && spec.granularity == Granularity(PerGroup{32});
  const bool mxfp8 = spec.codec == "mxfp8" && spec.element == DType::Float8E4M3FN;
  if (spec.codec == "nvfp4" || blocks_of_32 || mxfp8) {
    if (request.shape.size() != 2 || request.leading_dims != 1) {
      refuse("a matrix for " + std::to_string(spec.bits) + "-bit floats, not " + to_string(request.shape),
             "keep it with --exclude");
    }
    if (has_static_activation(spec) && !request.reading) check_static_activation(request);
    return;
  }
  if (spec.codec != "affine" && spec.codec != "fp8") {
    refuse("an integer, fp8, nvfp4, mxfp4:g32 or mxfp8 encoding", nearest_to(spec));
  }
  if (spec.activation && spec.element == DType::UInt8) {
    refuse("signed codes beside quantized activations", "use int" + std::to_string(spec.bits));
  }
  if (spec.element == DType::UInt8 && spec.mapping == Mapping::Asymmetric &&
      std::holds_alternative<PerTensor>(spec.granularity)) {
    refuse("a signed zero point for a whole tensor", "int" + std::to_string(spec.bits) + ":tensor:asym is the same");
  }
  // Expert slices are packed one by one; that equals packing their stack only where each fills whole words.
  if (request.leading_dims > 1 && spec.mapping == Mapping::Asymmetric && request.shape[1] * spec.bits % 32 != 0) {
    refuse("experts whose rows fill whole words of zero points", "use :sym");
  }
  if (spec.is_integer() && std::holds_alternative<PerBlock>(spec.granularity)) {
    refuse("tensor, channel or group granularity for integers", "use gN, or fp8_e4m3:bRxC");
  }
  if (has_static_activation(spec) && !request.reading) check_static_activation(request);
}

// Scale and zero point of what the module takes in, as the library finds them: ranges of static activations hold 0.
QParams input_params(const DialectRequest& request) {
  const ActivationSpec& activation = *request.codec.spec.activation;
  const bool integer = activation.element == "int8";
  const bool asymmetric = activation.mapping == Mapping::Asymmetric;
  QuantSpec spec = parse_spec(!integer ? "fp8_e4m3:tensor" : asymmetric ? "int8:tensor:asym" : "int8:tensor:full");
  spec.scale_dtype = request.codec.spec.scale_dtype;
  return choose_qparams(std::span(&*request.input_range, 1), spec);
}

std::vector<std::byte> input_scale(const DialectRequest& request) {
  const DType dtype = scale_dtype_of(request.codec.spec);
  std::vector<std::byte> bytes(static_cast<std::size_t>(bytes_of(dtype, 1)));
  store_scales(dtype, input_params(request).scales.data(), 1, bytes.data());
  return bytes;
}

// What the scales of groups that the runtime finds are multiplied by.
std::vector<std::byte> input_global_scale(const DialectRequest& request) {
  const Range& range = *request.input_range;
  const float quotient = 448.0f * 6.0f / std::max({0.0f, -range.lo, range.hi});
  const float scale = std::isfinite(quotient) ? quotient : 1.0f;
  const auto bytes = std::as_bytes(std::span(&scale, 1));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> input_zero_point(const DialectRequest& request) {
  return {static_cast<std::byte>(input_params(request).zero_points.front())};
}

void add_static_activation(const DialectRequest& request, std::vector<StoredOutput>& out) {
  const std::string module = module_of(request.name);
  const auto add = [&](const char* leaf, DType dtype, std::vector<std::byte> (*bytes)(const DialectRequest&)) {
    out.push_back({.info = {.name = module + leaf, .dtype = dtype, .shape = {1}, .file = request.file},
                   .part = {},
                   .constant = bytes});
  };
  if (is_fp4(request.codec.spec)) return add(".input_global_scale", DType::Float32, input_global_scale);
  add(".input_scale", scale_dtype_of(request.codec.spec), input_scale);
  if (request.codec.spec.activation->mapping == Mapping::Asymmetric)
    add(".input_zero_point", DType::Int8, input_zero_point);
}

std::vector<StoredOutput> outputs(const DialectRequest& request) {
  check(request);
  const SharedString& name = request.name;
  const bool packed = request.codec.form == CodeForm::Packed;
  const int bits = request.codec.spec.bits;
  std::vector<StoredOutput> out;
  for (const PartInfo& part : codec_of(request.codec.spec).parts(request.codec)) {
    StoredOutput stored{.info = {.name = name, .dtype = part.dtype, .shape = request.shape, .file = request.file},
                        .part = part.name};
    if (part.name == "codes" && packed) {
      stored.info.name = name + "_packed";
      const bool words = !is_fp4(request.codec.spec);
      stored.info.dtype = words ? DType::Int32 : DType::UInt8;
      stored.info.shape = packed_shape(request, words ? part.row_bytes / 4 : part.row_bytes);
      stored.form.packing = PartForm::Packing::Along;
    } else if (part.name == "scale") {
      stored.info.name = name + "_scale";
      if (part.dtype == DType::Float8E8M0FNU) stored.info.dtype = DType::UInt8;
      stored.info.shape = grid_shape(request);
    } else if (part.name == "global_scale") {
      stored.info.name = name + "_global_scale";
      stored.info.shape = {1};
    } else if (part.name == "zero_point") {
      stored.info.name = name + "_zero_point";
      stored.info.dtype = DType::Int8;
      stored.info.shape = grid_shape(request);
      // The library packs the zero points of channels and groups, not the one of a whole tensor.
      if (packed && !std::holds_alternative<PerTensor>(request.codec.spec.granularity)) {
        const BlockLayout& layout = request.codec.layout;
        stored.info.dtype = DType::Int32;
        stored.info.shape = {(layout.grid_rows * bits + 31) / 32, layout.grid_cols};
        if (request.leading_dims > 1) stored.info.shape.insert(stored.info.shape.begin(), request.shape.front());
        if (request.leading_dims > 1) stored.info.shape[1] /= request.shape.front();
        stored.form.packing = PartForm::Packing::Down;
      }
    }
    out.push_back(std::move(stored));
  }
  if (packed && !is_fp4(request.codec.spec)) {
    const Shape shape{static_cast<std::int64_t>(request.shape.size())};
    out.push_back({.info = {.name = name + "_shape", .dtype = DType::Int64, .shape = shape, .file = request.file},
                   .part = {},
                   .constant = shape_bytes});
  }
  if (has_static_activation(request.codec.spec) && !request.reading) add_static_activation(request, out);
  return out;
}

// What transformers and vLLM read, by the tables of the format reference; unproven combinations are not claimed.
std::vector<std::string> loads_in(const QuantSpec& spec) {
  const auto* channel = std::get_if<PerChannel>(&spec.granularity);
  const auto* group = std::get_if<PerGroup>(&spec.granularity);
  const bool rows = channel && channel->axis == 0;
  const bool tensor = std::holds_alternative<PerTensor>(spec.granularity);
  if (channel && !rows) return {};
  if (has_small_scales(spec)) return {"transformers", "vLLM"};
  if (spec.codec == "fp8") {
    if (spec.element != DType::Float8E4M3FN) return {};
    return rows || tensor ? std::vector<std::string>{"transformers", "vLLM"} : std::vector<std::string>{"transformers"};
  }
  const bool whole = spec.bits == 4 || spec.bits == 8;
  bool vllm = whole && spec.range != RangeKind::Signed;
  if (spec.activation) {
    vllm = vllm && (rows || tensor) && spec.bits == 8 && spec.mapping == Mapping::Symmetric;
  } else {
    vllm =
        vllm && (rows || (group && (group->group_size == 32 || group->group_size == 64 || group->group_size == 128)));
  }
  return vllm ? std::vector<std::string>{"transformers", "vLLM"} : std::vector<std::string>{"transformers"};
}

}  // namespace

constexpr std::array<std::string_view, 7> kCandidates = {"int2:g64",  "int3:g128", "int4:g128", "int4:g32",
                                                         "int5:g128", "int6:g128", "int8"};

const Dialect kCompressedTensors = {.name = "compressed_tensors",
                                    .scale_dtype = scale_dtype,
                                    .form = form,
                                    .outputs = outputs,
                                    .config = make_config,
                                    .loads_in = loads_in,
                                    .recognise = compressed_tensors::recognise,
                                    .candidates = kCandidates,
                                    .joins_sets = true};

}  // namespace mq
