#include "bench/convert_inputs.hpp"

#include <fstream>
#include <string>
#include <vector>

#include "mq/mq.hpp"
#include "tests/support/pickle_builder.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::bench {
namespace {

constexpr std::int64_t kRows = 5376;
constexpr std::int64_t kCols = 4096;
constexpr std::int64_t kBandRows = 64;

// fp16 weights between 2^-9 and 2^-1, either sign: 11 random bits of sign and mantissa, 3 of exponent.
class Weights {
 public:
  std::span<const std::byte> next_band() {
    values_.resize(static_cast<std::size_t>(kBandRows * kCols));
    for (std::uint16_t& value : values_) {
      state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
      const std::uint64_t bits = state_ >> 33;
      const std::uint64_t exponent = 6 + (bits >> 11 & 7);
      value = static_cast<std::uint16_t>((bits & 1) << 15 | exponent << 10 | (bits >> 1 & 0x3ff));
    }
    return std::as_bytes(std::span(values_));
  }

 private:
  std::uint64_t state_ = 1;
  std::vector<std::uint16_t> values_;
};

Layout model_layout(std::int64_t mebibytes) {
  Layout layout;
  for (std::int64_t done = 0, layer = 0; done < mebibytes << 20; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer) + ".mlp.up_proj.weight";
    layout.tensors.push_back({.name = name, .dtype = DType::Float16, .shape = {kRows, kCols}});
    done += layout.tensors.back().size_bytes();
  }
  return layout;
}

}  // namespace

void make_safetensors(const std::filesystem::path& path, std::int64_t mebibytes) {
  const Layout layout = model_layout(mebibytes);
  const auto writer = create_checkpoint(path, "safetensors", {.overwrite = true, .sync = false});
  writer->begin(layout);
  Weights weights;
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    for (std::int64_t r = 0; r < kRows; r += kBandRows) {
      writer->write(t, r, kBandRows, 0, 2 * kCols, weights.next_band());
    }
  }
  writer->finish();
}

void make_torch_zip(const std::filesystem::path& path, std::int64_t mebibytes) {
  const Layout layout = model_layout(mebibytes);
  test::PickleBuilder pickle;
  pickle.proto().ordered_dict();
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    const std::string key = std::to_string(t);
    pickle.text(layout.tensors[t].name);
    pickle.tensor({.storage_class = "HalfStorage", .key = key, .numel = kRows * kCols}, 0, {kRows, kCols}, {kCols, 1});
    pickle.setitem();
  }
  test::ZipBuilder zip;
  zip.add("model/data.pkl", std::move(pickle).stop());
  zip.add("model/byteorder", "little");
  Weights weights;
  std::string data;
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    data.clear();
    for (std::int64_t r = 0; r < kRows; r += kBandRows) {
      const std::span<const std::byte> band = weights.next_band();
      data.append(reinterpret_cast<const char*>(band.data()), band.size());
    }
    zip.add("model/data/" + std::to_string(t), data);
  }
  zip.add("model/version", "3\n");
  std::ofstream(path, std::ios::binary) << zip.finish();
}

void make_sparse(const std::filesystem::path& path, std::int64_t mebibytes) {
  // The writer may reserve the disk: only its header is of use, and is what a file of one tensor too few begins with.
  std::string header = "{";
  std::int64_t end = 0;
  for (const TensorInfo& tensor : model_layout(mebibytes).tensors) {
    header += (end == 0 ? "\"" : ",\"") + tensor.name + "\":{\"dtype\":\"F16\",\"shape\":[" + std::to_string(kRows) +
              "," + std::to_string(kCols) + "],\"data_offsets\":[" + std::to_string(end) + ",";
    end += tensor.size_bytes();
    header += std::to_string(end) + "]}";
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  const std::uint64_t length = header.size();
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&length), sizeof length);
  out << header;
  out.close();
  std::filesystem::resize_file(path, sizeof length + length + static_cast<std::uint64_t>(end));
}

void make_many(const std::filesystem::path& folder, std::int64_t quantized, std::int64_t kept, std::int64_t shards) {
  const std::int64_t bytes = 4 * (16 * 64 + kept * 16);
  std::vector<NamedTensor> tensors;
  Buffer weight_bytes(4 * 16 * 64), norm_bytes(4 * 16);
  for (int i = 0; i < 16 * 64; ++i) weight_bytes.as<float>()[i] = 0.001f * static_cast<float>(i * 37 % 1000 - 500);
  for (int i = 0; i < 16; ++i) norm_bytes.as<float>()[i] = 1.0f;
  const Tensor weight(DType::Float32, {16, 64}, std::move(weight_bytes));
  const Tensor norm(DType::Float32, {16}, std::move(norm_bytes));
  for (std::int64_t layer = 0; layer < quantized; ++layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    tensors.push_back({prefix + "proj.weight", weight});
    for (std::int64_t i = 0; i < kept; ++i) {
      tensors.push_back({prefix + "norms." + std::to_string(i) + ".weight", norm});
    }
  }
  const auto checkpoint = make_checkpoint(std::move(tensors));
  Recipe recipe;
  recipe.task = Recipe::Task::Copy;
  recipe.format = "hf_safetensors";
  recipe.max_shard_bytes = shards == 1 ? std::nullopt : std::optional(quantized * bytes / shards + bytes);
  const auto writer = create_checkpoint(folder, recipe.format, {.overwrite = true, .sync = false});
  convert(*checkpoint, make_plan(describe(*checkpoint), recipe), *writer, serial_executor());
}

void set_encoding(Recipe& recipe, std::string_view text) {
  const std::size_t comma = text.find(',');
  recipe.scheme = parse_spec(text.substr(0, comma));
  if (comma == std::string_view::npos) return;
  const std::string_view name = text.substr(comma + 1);
  for (const Effort effort : kEfforts) {
    recipe.effort = effort;
    if (to_string(effort) == name) return;
  }
  throw Error(ErrorCode::Usage, "there is no effort " + printable(name));
}

}  // namespace mq::bench
