#include "formats/registry.hpp"

#include <array>

#include "mq/error.hpp"

namespace mq::formats {

std::span<const Format* const> all_formats() noexcept {
  static constexpr std::array<const Format*, 10> kFormats{
      &kGguf, &kHfSafetensors, &kHfTorch, &kSafetensors, &kTorch, &kZip, &kTorchLegacy, &kTorchTar, &kNpy, &kImatrix,
  };
  return kFormats;
}

void refuse_root(const std::filesystem::path& path, const OpenOptions& options) {
  if (options.root.empty() || options.root == ".") return;
  throw Error({.code = ErrorCode::Usage,
               .message = "a file of this format has no parts to choose from",
               .file = path.string(),
               .found = options.root});
}

}  // namespace mq::formats
