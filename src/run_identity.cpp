#include "src/run_identity.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/version.hpp"
#include "src/digest.hpp"
#include "src/recipe.hpp"

namespace mq {
namespace {

constexpr std::uint64_t kBeginningBytes = std::uint64_t{1} << 20;

std::string digest_of(const json::Value& value) {
  const std::string text = json::dump(value, -1);
  return digest_of(DigestKind::Xxh3, std::as_bytes(std::span(text)));
}

json::Value file_value(const std::filesystem::path& path) {
  const io::File file = io::File::open(path);
  std::vector<std::byte> beginning(static_cast<std::size_t>(std::min(file.size(), kBeginningBytes)));
  file.read(0, beginning);
  json::Value value;
  value.set("size_bytes", file.size());
  value.set("modified_ns", file.modified_ns());
  value.set("beginning", digest_of(DigestKind::Xxh3, beginning));
  return value;
}

json::Array listing(std::span<const TensorInfo> tensors) {
  json::Array out;
  for (const TensorInfo& tensor : tensors) {
    json::Array shape(tensor.shape.begin(), tensor.shape.end());
    out.push_back(json::Array{tensor.name, to_string(tensor.dtype), std::move(shape), tensor.file});
  }
  return out;
}

// What else is in the file tells which part of it was chosen.
json::Array listing(std::span<const LeftOut> left_out) {
  json::Array out;
  for (const LeftOut& part : left_out) out.push_back(json::Array{part.what, part.tensors, part.size_bytes});
  return out;
}

json::Array listing(const Layout& layout) {
  json::Array out = listing(std::span<const TensorInfo>(layout.tensors));
  for (const auto& [key, value] : layout.metadata) {
    out.push_back(json::Array{key, std::visit([](const auto& v) { return json::Value(v); }, value)});
  }
  for (const auto& [name, content] : layout.texts) out.push_back(json::Array{name, content});
  for (const Asset& asset : layout.copies) out.push_back(json::Array{asset.name, asset.size_bytes});
  return out;
}

json::Array importance_listing(const Plan& plan) {
  json::Array out;
  for (const Step& step : plan.steps) {
    if (!step.importance) continue;
    out.push_back(json::Array{step.id, digest_of(DigestKind::Xxh3, std::as_bytes(std::span(*step.importance)))});
  }
  return out;
}

json::Array input_range_listing(const Plan& plan) {
  json::Array out;
  for (const Step& step : plan.steps) {
    if (!step.input_range) continue;
    out.push_back(
        json::Array{step.id, static_cast<double>(step.input_range->lo), static_cast<double>(step.input_range->hi)});
  }
  return out;
}

}  // namespace

json::Value run_identity(const Checkpoint& checkpoint, const Plan& plan) {
  json::Value identity;
  identity.set("tool version", kVersion);
  const json::Value recipe = to_json(plan.recipe);
  for (const auto& [key, value] : *recipe.as_object()) identity.set("option " + key, value);
  for (const std::filesystem::path& file : checkpoint.files()) {
    identity.set("input file " + file.filename().string(), file_value(file));
  }
  identity.set("list of input tensors",
               digest_of(json::Array{listing(checkpoint.tensors()), listing(checkpoint.left_out())}));
  identity.set("importance of columns", digest_of(importance_listing(plan)));
  identity.set("ranges of activations", digest_of(input_range_listing(plan)));
  identity.set("layout of the output", digest_of(listing(plan.layout)));
  return identity;
}

}  // namespace mq
