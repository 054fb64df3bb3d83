// Finding the quantized weights of a bitsandbytes checkpoint, ours or another tool's.
#include <cstring>

#include "src/dialects/bitsandbytes.hpp"
#include "src/dialects/reader.hpp"

namespace mq::bitsandbytes {
namespace {

constexpr std::string_view kState = ".quant_state.bitsandbytes__";
constexpr std::string_view kRowMaxima = ".SCB";
// A text of a few numbers.
constexpr std::int64_t kMaxStateBytes = 4096;

json::Value read_state(const Checkpoint& checkpoint, std::size_t index) {
  const TensorInfo& tensor = checkpoint.tensors()[index];
  if (tensor.dtype != DType::UInt8 || tensor.numel() > kMaxStateBytes) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "bad quantization state",
                 .file = checkpoint.path().string(),
                 .tensor = tensor.name,
                 .expected = "at most " + std::to_string(kMaxStateBytes) + " bytes of JSON",
                 .found = std::string(to_string(tensor.dtype)) + " " + to_string(tensor.shape)});
  }
  const Tensor bytes = checkpoint.read(index);
  const std::string text(reinterpret_cast<const char*>(bytes.bytes().data()), bytes.bytes().size());
  return json::parse(text, checkpoint.path().string() + ": " + printable(tensor.name));
}

class Finder : DialectReader {
 public:
  using DialectReader::DialectReader;

  std::vector<LogicalTensor> all() {
    std::vector<LogicalTensor> found;
    const auto tensors = checkpoint().tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const std::string_view name = tensors[i].name;
      const std::size_t at = name.find(kState);
      if (at != std::string_view::npos) {
        found.push_back(weight4(std::string(name.substr(0, at)), i));
      } else if (name.ends_with(kRowMaxima)) {
        const std::string module(name.substr(0, name.size() - kRowMaxima.size()));
        const auto codes = find(module + ".weight");
        if (codes && tensor(*codes).dtype == DType::Int8) found.push_back(weight8(module));
      }
    }
    return found;
  }

 private:
  // The index of NAME, which must be so.
  std::size_t expect(const std::string& name, DType dtype, std::int64_t numel) const {
    const TensorInfo& stored = require(name);
    if (stored.dtype != dtype || stored.numel() != numel) {
      corrupt(name, "type or size against the quantization state",
              std::string(to_string(dtype)) + ", " + std::to_string(numel) + " elements",
              std::string(to_string(stored.dtype)) + " " + to_string(stored.shape));
    }
    return *find(name);
  }

  Shape shape_of(const json::Value& state, const std::string& name) const {
    const json::Value* dims = state.find("shape");
    Shape shape;
    if (dims && dims->as_array()) {
      for (const json::Value& dim : *dims->as_array()) shape.push_back(dim.as_int() ? *dim.as_int() : -1);
    }
    const bool sane = shape.size() == 2 && shape[0] > 0 && shape[1] > 0;
    if (!sane) unsupported(name, "shape of a weight of 4 bits", "two dimensions", text_of(dims));
    numel(shape);
    return shape;
  }

  LogicalTensor weight4(const std::string& name, std::size_t state_index) {
    const json::Value state = read_state(checkpoint(), state_index);
    const std::string type = string_member(state, "quant_type").value_or("");
    const std::int64_t block = int_member(state, "blocksize").value_or(0);
    if ((type != "nf4" && type != "fp4") || block < 32 || block > 4096 || (block & (block - 1)) != 0) {
      unsupported(tensor(state_index).name, "quantization state", "nf4 or fp4 in blocks of 32, 64 … 4096",
                  "'" + printable(type) + "' in blocks of " + std::to_string(block));
    }
    LogicalTensor out{.info = {.name = name, .shape = shape_of(state, name)}, .dialect = kBitsAndBytes.name};
    const std::int64_t weights = out.info.numel();
    out.info.dtype = parse_dtype(string_member(state, "dtype").value_or("")).value_or(DType::Float32);
    WeightClaim claim{.name = name, .shape = out.info.shape, .spec = parse_spec(type), .original = out.info.dtype};
    claim.spec.granularity = PerGroup{block};
    apply_notes(claim);
    claim.spec.scale_dtype = DType::Float32;
    const bool nested = find(name + ".nested_absmax").has_value();
    claim.spec.double_quant = nested;
    if (std::get_if<PerGroup>(&claim.spec.granularity) == nullptr || claim.spec.codec != type ||
        std::get<PerGroup>(claim.spec.granularity).group_size != block) {
      corrupt(name, "notes of the quantization config against the quantization state", type, to_string(claim.spec));
    }
    out.spec = share(claim.spec);
    out.info.dtype = claim.original;
    out.transposed = claim.transposed;
    if (out.transposed) std::swap(out.info.shape.front(), out.info.shape.back());
    const std::size_t codes = expect(name, DType::UInt8, weights / 2 + weights % 2);
    out.info.file = tensor(codes).file;
    using Form = PartForm;
    out.parts.push_back({"codes", codes, {.packing = Form::Packing::Along, .fields = Form::Fields::HighFirst}});
    const std::int64_t blocks = weights / block + (weights % block != 0 ? 1 : 0);
    const std::size_t absmax = expect(name + ".absmax", nested ? DType::UInt8 : DType::Float32, blocks);
    out.parts.push_back({"scale", absmax, {.value = nested ? Form::Value::Nested : Form::Value::Itself}});
    if (nested) add_nested(state, name, blocks, out);
    out.parts.push_back({nested ? "nested_state" : "", state_index});
    const std::size_t map = expect(name + ".quant_map", DType::Float32, 16);
    const std::vector<std::byte> levels = levels_of(*out.spec);
    const Tensor stored = checkpoint().read(map);
    for (std::size_t i = 0; i < 16; ++i) {
      float ours = 0;
      std::memcpy(&ours, levels.data() + 4 * i, sizeof ours);
      if (stored.as<float>()[i] == ours) continue;
      unsupported(tensor(map).name, "levels that are not those of " + type, std::to_string(ours),
                  std::to_string(stored.as<float>()[i]));
    }
    out.parts.push_back({"", map});
    return out;
  }

  void add_nested(const json::Value& state, const std::string& name, std::int64_t blocks, LogicalTensor& out) const {
    const std::int64_t size = int_member(state, "nested_blocksize").value_or(0);
    if (size < 1 || size > (std::int64_t{1} << 20)) {
      corrupt(name, "bad size of the blocks of scales", "1 to 2^20", std::to_string(size));
    }
    out.parts.push_back({"nested_absmax", expect(name + ".nested_absmax", DType::Float32, (blocks + size - 1) / size)});
    out.parts.push_back({"nested_map", expect(name + ".nested_quant_map", DType::Float32, 256)});
  }

  LogicalTensor weight8(const std::string& module) {
    const std::string name = module + ".weight";
    const TensorInfo& codes = require(name);
    if (codes.shape.size() != 2) {
      corrupt(name, "shape of a weight of 8 bits", "two dimensions", to_string(codes.shape));
    }
    if (const auto format = find(module + ".weight_format")) {
      const Tensor value = checkpoint().read(*format);
      if (value.bytes().size() != 1 || value.bytes()[0] != std::byte{0}) {
        unsupported(tensor(*format).name, "a layout of int8 weights that is not read", "0, rows", "another");
      }
    }
    WeightClaim claim{.name = name, .shape = codes.shape, .spec = parse_spec("int8"), .original = DType::Float16};
    apply_notes(claim);
    claim.spec.scale_dtype = DType::Float32;
    return assemble(kBitsAndBytes, claim);
  }
};

}  // namespace

std::optional<std::vector<LogicalTensor>> recognise(const Checkpoint& checkpoint, const json::Value& config) {
  const bool named = !config.is_null() && string_member(config, "quant_method") == "bitsandbytes";
  // Weights of 4 bits say themselves what they are.
  if (!named && !config.is_null()) return std::nullopt;
  std::vector<LogicalTensor> found = Finder(checkpoint, config).all();
  if (found.empty() && !named) return std::nullopt;
  return found;
}

std::vector<float> read_nested_scales(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const auto index = [&](std::string_view name) {
    for (const StoredPart& part : tensor.parts) {
      if (part.part == name) return part.tensor;
    }
    throw Error(ErrorCode::Internal, "a weight with nested scales lacks " + std::string(name));
  };
  const json::Value state = read_state(checkpoint, index("nested_state"));
  const json::Value* offset = state.find("nested_offset");
  double mean = 0;
  if (offset && offset->as_double()) mean = *offset->as_double();
  if (offset && offset->as_int()) mean = static_cast<double>(*offset->as_int());
  const Tensor codes = checkpoint.read(index("scale"));
  const Tensor absmax = checkpoint.read(index("nested_absmax"));
  const Tensor map = checkpoint.read(index("nested_map"));
  const auto size = static_cast<std::size_t>(int_member(state, "nested_blocksize").value_or(256));
  std::vector<float> scales(codes.bytes().size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const float value = map.as<float>()[std::to_integer<std::size_t>(codes.bytes()[i])] * absmax.as<float>()[i / size];
    scales[i] = value + static_cast<float>(mean);
  }
  return scales;
}

}  // namespace mq::bitsandbytes
