// Checkpoints that torch.save has written since PyTorch 1.6, read only.
//
// Names of tensors are their paths in the saved object below the chosen part (formats/torch_select.hpp); an object that
// is one tensor calls it "tensor". Bytes are delivered little-endian and row-major, whatever the file's byte order and
// the tensor's strides are.
#include <algorithm>
#include <array>
#include <utility>

#include "formats/crc.hpp"
#include "formats/record_checksums.hpp"
#include "formats/registry.hpp"
#include "formats/strided_read.hpp"
#include "formats/tiles.hpp"
#include "formats/torch_contents.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

// Bytes are summed while the piece just read is still in the cache.
constexpr std::size_t kPieceBytes = 256 * 1024;

// A strided view is read out of order, so its record is verified by a pass of its own; not if the view is a small
// part of it.
constexpr std::uint64_t kVerifiedFraction = 8;

std::size_t swapped_bytes(DType dtype) {
  const auto item_bytes = static_cast<std::size_t>(info(dtype).block_bytes);
  const bool complex = dtype == DType::Complex32 || dtype == DType::Complex64 || dtype == DType::Complex128;
  return complex ? item_bytes / 2 : item_bytes;
}

void swap_byte_order(std::span<std::byte> bytes, std::size_t width) {
  if (width == 1) return;
  for (std::size_t i = 0; i + width <= bytes.size(); i += width) std::ranges::reverse(bytes.subspan(i, width));
}

class TorchCheckpoint final : public Checkpoint {
 public:
  TorchCheckpoint(const fs::path& path, const OpenOptions& options)
      : path_(path),
        archive_(io::File::open(path), options.limits),
        contents_(torch::read_contents(archive_, options)),
        checksums_(archive_.zip()) {}

  std::string_view format() const noexcept override { return kTorchZip.name; }
  const fs::path& path() const noexcept override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return contents_.tensors; }
  const Metadata& metadata() const noexcept override { return metadata_; }
  std::span<const LeftOut> left_out() const noexcept override { return contents_.left_out; }

  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    const TensorInfo& tensor = contents_.tensors[require_index(index, contents_.tensors.size())];
    const std::uint64_t begin = require_range(tensor, first, count, out.size());
    const torch::Place& place = contents_.places[index];
    const auto item_bytes = static_cast<std::uint64_t>(info(tensor.dtype).block_bytes);
    if (place.contiguous) {
      read_range(*place.record, static_cast<std::uint64_t>(place.view.offset) * item_bytes + begin, out);
    } else {
      const auto tensor_bytes = static_cast<std::uint64_t>(tensor.size_bytes());
      if (tensor_bytes >= place.record->size_bytes / kVerifiedFraction) checksums_.verify(*place.record);
      read_strided(place.view, item_bytes, first, count, out, [&](std::uint64_t at, std::span<std::byte> bytes) {
        archive_.zip().read(*place.record, at, bytes);
      });
    }
    if (archive_.big_endian()) swap_byte_order(out, swapped_bytes(tensor.dtype));
    archive_.zip().file().check_unchanged();
  }

 private:
  void read_range(const ZipRecord& record, std::uint64_t first, std::span<std::byte> out) const {
    if (!checksums_.wanted(record)) return archive_.zip().read(record, first, out);
    std::uint32_t crc = 0;
    for (std::size_t at = 0; at < out.size(); at += kPieceBytes) {
      const std::span<std::byte> piece = out.subspan(at, std::min(kPieceBytes, out.size() - at));
      archive_.zip().read(record, first + at, piece);
      crc = crc32(crc, piece);
    }
    checksums_.add(record, first, out.size(), crc);
  }

  fs::path path_;
  torch::Archive archive_;
  torch::ArchiveContents contents_;
  mutable RecordChecksums checksums_;
  Metadata metadata_;
};

bool matches(const fs::path& path) {
  if (!fs::is_regular_file(path)) return false;
  const io::File file = io::File::open(path);
  std::array<std::byte, 4> first{};
  if (file.size() < first.size()) return false;
  file.read(0, first);
  return ZipArchive::begins(first);
}

std::unique_ptr<Checkpoint> open(const fs::path& path, const OpenOptions& options) {
  return std::make_unique<TorchCheckpoint>(path, options);
}

}  // namespace

const Format kTorchZip{.name = "torch_zip",
                       .title = "PyTorch checkpoint",
                       .suffix = ".pt",
                       .matches = matches,
                       .open = open,
                       .create = nullptr};

}  // namespace mq::formats
