#include "formats/file_names.hpp"

#include <algorithm>
#include <array>

namespace mq::formats {
namespace {

using namespace std::string_view_literals;

constexpr std::array kTorchSuffixes{".bin"sv, ".pt"sv, ".pth"sv, ".ckpt"sv};
constexpr std::array kOtherSuffixes{".gguf"sv,      ".ggml"sv, ".h5"sv, ".keras"sv, ".msgpack"sv, ".onnx"sv,
                                    ".onnx_data"sv, ".npz"sv,  ".ot"sv, ".pt2"sv,   ".tflite"sv};

// What Hugging Face's trainer saves beside a model.
constexpr std::array kTrainingNames{"training_args.bin"sv, "optimizer.bin"sv, "optimizer.pt"sv,
                                    "scheduler.bin"sv,     "scheduler.pt"sv,  "scaler.pt"sv};

template <std::size_t N>
bool ends_with_any(std::string_view name, const std::array<std::string_view, N>& suffixes) {
  return std::ranges::any_of(suffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

}  // namespace

bool is_plain_name(std::string_view name) noexcept {
  const bool drive_letter = name.size() >= 2 && name[1] == ':';
  return !name.empty() && name != "." && name != ".." && !drive_letter &&
         name.find_first_of("/\\\0"sv) == std::string_view::npos;
}

bool is_relative_name(std::string_view name) noexcept {
  for (;;) {
    const std::size_t slash = name.find('/');
    if (!is_plain_name(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

bool is_safetensors_name(std::string_view name) noexcept {
  return name.ends_with(".safetensors");
}

bool is_torch_name(std::string_view name) noexcept {
  return ends_with_any(name, kTorchSuffixes) && !name.starts_with("rng_state") &&
         std::ranges::find(kTrainingNames, name) == kTrainingNames.end();
}

bool is_index_name(std::string_view name) noexcept {
  return name.ends_with(".safetensors.index.json") || name.ends_with(".bin.index.json");
}

bool is_weights_name(std::string_view name) noexcept {
  return is_safetensors_name(name) || ends_with_any(name, kTorchSuffixes) || ends_with_any(name, kOtherSuffixes) ||
         is_index_name(name);
}

}  // namespace mq::formats
