#include "mq/checkpoint.hpp"

namespace mq {

const std::string* find_string(const Metadata& metadata, std::string_view key) noexcept {
  for (const auto& [name, value] : metadata) {
    if (name == key) return std::get_if<std::string>(&value);
  }
  return nullptr;
}

std::optional<std::size_t> Checkpoint::find(std::string_view name) const noexcept {
  const std::span<const TensorInfo> infos = tensors();
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (infos[i].name == name) return i;
  }
  return std::nullopt;
}

Tensor Checkpoint::read(std::size_t index) const {
  const std::span<const TensorInfo> infos = tensors();
  if (index >= infos.size()) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "index of a tensor",
                 .file = path().string(),
                 .expected = "less than " + std::to_string(infos.size()),
                 .found = std::to_string(index)});
  }
  const TensorInfo& tensor = infos[index];
  Buffer bytes(static_cast<std::size_t>(tensor.size_bytes()));
  read(index, 0, tensor.numel(), bytes.span());
  return Tensor(tensor.dtype, tensor.shape, std::move(bytes));
}

}  // namespace mq
