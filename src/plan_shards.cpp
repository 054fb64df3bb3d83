#include "src/plan_shards.hpp"

#include <array>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "src/plan_layout.hpp"

namespace mq {
namespace {

// One tensor's entry in a header beside its name, and what a number takes at most.
constexpr std::int64_t kEntryBytes = 64;
constexpr std::int64_t kNumberBytes = 21;

// At most so many: a character may be written as an escape of six.
std::int64_t header_bytes(const TensorInfo& tensor) {
  const auto numbers = static_cast<std::int64_t>(tensor.shape.size()) + 2;
  std::int64_t name = 0;
  for (const char c : tensor.name) name += c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ? 6 : 1;
  return name + kEntryBytes + kNumberBytes * numbers;
}

struct Shard {
  std::int64_t bytes = 0;
  std::int64_t header = 0;
};

class ShardMaker {
 public:
  explicit ShardMaker(const Plan& plan) : plan_(plan), most_(plan.recipe.max_shard_bytes) {
    for (const auto& [key, value] : plan.layout.metadata) {
      const std::string* const text = std::get_if<std::string>(&value);
      metadata_bytes_ +=
          static_cast<std::int64_t>(6 * (key.size() + (text != nullptr ? text->size() : 0))) + kEntryBytes;
    }
  }

  std::size_t shard_of(const Step& step) {
    const TensorInfo& first = plan_.layout.tensors[step.outputs.front()];
    std::int64_t header = 0;
    for (const std::size_t o : step.outputs) header += header_bytes(plan_.layout.tensors[o]);
    const auto [open, fresh] = open_.try_emplace(most_ ? std::string() : first.file.str(), shards_.size());
    if (fresh || !fits(shards_[open->second], step.output_bytes, header)) {
      open->second = shards_.size();
      shards_.push_back({.header = metadata_bytes_});
    }
    Shard& shard = shards_[open->second];
    shard.bytes += step.output_bytes;
    shard.header += header;
    return open->second;
  }

  // Whether the files of the source are no longer what the output has.
  bool renames() const { return most_.has_value() || shards_.size() != open_.size(); }

  std::size_t count() const { return shards_.size(); }
  std::string name_of(std::size_t shard) const {
    if (shards_.size() == 1) return "model.safetensors";
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "model-%05zu-of-%05zu.safetensors", shard + 1, shards_.size());
    return name.data();
  }

 private:
  bool fits(const Shard& shard, std::int64_t bytes, std::int64_t header) const {
    if (shard.bytes == 0 && shard.header == metadata_bytes_) return true;
    return shard.header + header <= static_cast<std::int64_t>(Limits{}.header_bytes) &&
           (!most_ || shard.bytes + bytes <= *most_);
  }

  const Plan& plan_;
  const std::optional<std::int64_t> most_;
  std::int64_t metadata_bytes_ = kEntryBytes;
  std::vector<Shard> shards_;
  std::map<std::string, std::size_t> open_;  // the last shard of what was one file
};

}  // namespace

void assign_shards(Plan& plan) {
  if (!writes_directory(plan.recipe)) {
    if (!plan.recipe.max_shard_bytes) return;
    throw Error({.code = ErrorCode::Usage,
                 .message = "a largest shard is asked for, but the output is a single file",
                 .expected = "format hf_safetensors",
                 .found = plan.recipe.format});
  }
  ShardMaker maker(plan);
  std::vector<std::size_t> shards(plan.layout.tensors.size());
  for (const Step& step : plan.steps) {
    if (step.outputs.empty()) continue;
    const std::size_t shard = maker.shard_of(step);
    for (const std::size_t o : step.outputs) shards[o] = shard;
  }
  if (!maker.renames()) return;
  std::vector<SharedString> names(maker.count());
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = maker.name_of(i);
  for (std::size_t o = 0; o < shards.size(); ++o) plan.layout.tensors[o].file = names[shards[o]];
}

}  // namespace mq
