#include "mq/source.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <system_error>

#include "src/dialects/dialect.hpp"
#include "src/dialects/gguf.hpp"
#include "src/dialects/torch_quantized.hpp"
#include "src/json.hpp"
#include "src/pool.hpp"
#include "src/saturating.hpp"

namespace mq {
namespace {

// A model's configuration is a few kilobytes; more is not a configuration.
constexpr std::int64_t kMaxConfigBytes = 64 << 20;

std::string read_text(const Asset& asset) {
  if (asset.size_bytes > kMaxConfigBytes) {
    throw Error({.code = ErrorCode::Limit,
                 .message = "configuration file is too large",
                 .file = asset.path.string(),
                 .expected = "at most " + std::to_string(kMaxConfigBytes) + " bytes",
                 .found = std::to_string(asset.size_bytes)});
  }
  std::ifstream in(asset.path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in && !in.eof()) {
    throw Error({.code = ErrorCode::Io, .message = "cannot read", .file = asset.path.string()});
  }
  return text;
}

// The model's config.json, or empty.
std::string find_config(const Checkpoint& checkpoint) {
  for (const Asset& asset : checkpoint.assets()) {
    if (asset.name == "config.json") return read_text(asset);
  }
  return {};
}

// The quantization config: a member of config.json, or the text that a single file carries.
json::Value quantization_config(const Checkpoint& checkpoint, const std::string& config) {
  if (!config.empty()) {
    const json::Value model = json::parse(config, (checkpoint.path() / "config.json").string());
    for (const char* key : {"quantization_config", "compression_config"}) {
      if (const json::Value* found = model.find(key)) return *found;
    }
  }
  for (const Dialect* dialect : all_dialects()) {
    if (dialect->config_file.empty()) continue;
    for (const Asset& asset : checkpoint.assets()) {
      if (asset.name != dialect->config_file) continue;
      json::Value found = json::parse(read_text(asset), asset.path.string());
      // Files of this name say it by their name.
      if (found.as_object() && !found.find("quant_method")) found.set("quant_method", dialect->name);
      return found;
    }
  }
  if (const std::string* text = find_string(checkpoint.metadata(), "quantization_config")) {
    return json::parse(*text, checkpoint.path().string() + ": __metadata__.quantization_config");
  }
  return nullptr;
}

// A stored tensor by itself. Blocks that hold their own scales are a quantized tensor of one part, whatever its name;
// nothing tells of what float type it was.
LogicalTensor stored_tensor(const TensorInfo& info, std::size_t index, Recognise recognise,
                            Pool<Shared<QuantSpec>>& specs) {
  LogicalTensor tensor{.info = info};
  if (recognise == Recognise::Quantized) {
    if (const std::optional<QuantSpec> spec = block_spec(info.dtype)) tensor.spec = specs.share(*spec);
  }
  if (tensor.spec) {
    tensor.info.dtype = DType::Float32;
    tensor.dialect = kGgufDialect.name;
    if (info.shape.size() == 3) tensor.leading_dims = 2;  // a stack of experts: the only ones with so many dimensions
  }
  tensor.parts = {{tensor.spec ? "codes" : "values", index}};
  tensor.stored_bytes = info.size_bytes();
  return tensor;
}

std::int64_t stored_bytes(const Checkpoint& checkpoint) {
  std::int64_t total = 0;
  for (const TensorInfo& tensor : checkpoint.tensors()) total = saturating_add(total, tensor.size_bytes());
  return total;
}

std::optional<std::int64_t> file_bytes(const Checkpoint& checkpoint) {
  const std::vector<std::filesystem::path> files = checkpoint.files();
  if (files.empty()) return std::nullopt;
  std::int64_t total = 0;
  for (const std::filesystem::path& file : files) {
    std::error_code unknown;
    const std::uintmax_t bytes = std::filesystem::file_size(file, unknown);
    if (unknown) return std::nullopt;
    total = saturating_add(total, static_cast<std::int64_t>(bytes));
  }
  return total;
}

// Quantized weights take the place of their first part; other stored tensors stand for themselves.
void add_tensors(const Checkpoint& checkpoint, std::vector<LogicalTensor> quantized, Recognise recognise,
                 Source& source) {
  const auto stored = checkpoint.tensors();
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> owner(stored.size(), kNone);
  for (std::size_t q = 0; q < quantized.size(); ++q) {
    for (const StoredPart& part : quantized[q].parts) owner[part.tensor] = q;
  }
  std::vector<bool> added(quantized.size(), false);
  Pool<Shared<QuantSpec>> specs;
  source.tensors.reserve(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (owner[i] == kNone) {
      source.tensors.push_back(stored_tensor(stored[i], i, recognise, specs));
      if (source.dialect == "plain") source.dialect = source.tensors.back().dialect;
    } else if (!added[owner[i]]) {
      added[owner[i]] = true;
      LogicalTensor& tensor = source.tensors.emplace_back(std::move(quantized[owner[i]]));
      for (const StoredPart& part : tensor.parts) tensor.stored_bytes += stored[part.tensor].size_bytes();
    }
  }
}

}  // namespace

bool stores_strips(const LogicalTensor& tensor) noexcept {
  return std::ranges::any_of(tensor.parts, [](const StoredPart& part) { return part.form.transposed; });
}

Source describe(const Checkpoint& checkpoint, Recognise recognise) {
  Source source{.metadata = checkpoint.metadata(),
                .assets = {checkpoint.assets().begin(), checkpoint.assets().end()},
                .left_out = {checkpoint.left_out().begin(), checkpoint.left_out().end()},
                .format = std::string(checkpoint.format()),
                .config = find_config(checkpoint),
                .stored_bytes = stored_bytes(checkpoint),
                .file_bytes = file_bytes(checkpoint)};
  std::vector<LogicalTensor> quantized;
  const json::Value config =
      recognise == Recognise::Quantized ? quantization_config(checkpoint, source.config) : json::Value();
  if (recognise == Recognise::Quantized) {
    bool known = config.is_null();
    for (const Dialect* dialect : all_dialects()) {
      if (dialect->recognise == nullptr) continue;
      auto found = dialect->recognise(checkpoint, config);
      if (!found) continue;
      known = true;
      quantized = std::move(*found);
      source.dialect = quantized.empty() ? dialect->name : quantized.front().dialect;
      break;
    }
    if (!known) {
      const json::Value* method = config.find("quant_method");
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "the checkpoint is quantized in a way that is not read",
                   .file = checkpoint.path().string(),
                   .expected = "quant_method compressed-tensors, gptq, awq, bitsandbytes, fp8, torchao or quanto",
                   .found = method ? json::dump(*method, -1) : "no quant_method"});
    }
  }
  // PyTorch's own quantized tensors may stand beside those of any other dialect.
  if (!quantized.empty() && source.dialect != kTorchQuantized.name) {
    auto more = kTorchQuantized.recognise(checkpoint, config);
    if (more) std::ranges::move(*more, std::back_inserter(quantized));
  }
  add_tensors(checkpoint, std::move(quantized), recognise, source);
  return source;
}

QuantizedTensor load_quantized(const Checkpoint& checkpoint, std::string_view name) {
  const Source source = describe(checkpoint);
  for (const LogicalTensor& tensor : source.tensors) {
    if (tensor.info.name == name) return load_quantized(checkpoint, tensor);
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "no such tensor",
               .file = checkpoint.path().string(),
               .tensor = std::string(name)});
}

}  // namespace mq
