#include "src/folded_checkpoint.hpp"

#include <algorithm>
#include <array>

#include "src/codecs/codec.hpp"
#include "src/float_rows.hpp"
#include "src/plan_steps.hpp"

namespace mq {
namespace {

// Values that are changed at a time.
constexpr std::int64_t kPiece = 1024;

class FoldedCheckpoint final : public Checkpoint {
 public:
  FoldedCheckpoint(std::unique_ptr<Checkpoint> original, std::vector<TensorInfo> tensors,
                   std::vector<FoldedTensor> folded, std::vector<FoldedChannels> channels,
                   std::vector<LeftOut> left_out)
      : original_(std::move(original)),
        tensors_(std::move(tensors)),
        folded_(std::move(folded)),
        channels_(std::move(channels)),
        left_out_(std::move(left_out)) {}

  std::string_view format() const noexcept override { return original_->format(); }
  const std::filesystem::path& path() const noexcept override { return original_->path(); }
  std::span<const TensorInfo> tensors() const noexcept override { return tensors_; }
  const Metadata& metadata() const noexcept override { return original_->metadata(); }
  std::span<const Asset> assets() const noexcept override { return original_->assets(); }
  std::span<const LeftOut> left_out() const noexcept override { return left_out_; }
  std::vector<std::filesystem::path> files() const override { return original_->files(); }
  void check_unchanged() const override { original_->check_unchanged(); }

  using Checkpoint::read;
  void read(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    if (index >= folded_.size()) throw Error(ErrorCode::Usage, "index of a tensor that is not there");
    const FoldedTensor& folded = folded_[index];
    if (folded.original) {
      original_->read(*folded.original, first, count, out);
    } else {
      require_range(index, first, count, out.size());
      std::ranges::fill(out, std::byte{0});
    }
    if (folded.what != FoldedTensor::What::Itself) fold(index, first, count, out);
  }

 private:
  // In float32, rounded once to the type of the tensor.
  void fold(std::size_t index, std::int64_t first, std::int64_t count, std::span<std::byte> out) const {
    const TensorInfo& tensor = tensors_[index];
    const FoldedChannels& channels = channels_[folded_[index].fold];
    const bool bias = folded_[index].what == FoldedTensor::What::Bias;
    const std::int64_t per_channel = bias ? 1 : tensor.numel() / tensor.shape.front();
    const QuantSpec type = cast_spec(tensor.dtype);
    const Codec& codec = codec_of(type);
    const auto state = codec.begin({.spec = type}, nullptr);
    std::array<float, kPiece> values;
    EncodeCounts counts;
    for (const std::int64_t end = first + count; first < end;) {
      const std::int64_t n = std::min(kPiece, end - first);
      const std::span<std::byte> bytes = out.first(static_cast<std::size_t>(bytes_of(tensor.dtype, n)));
      widen(tensor.dtype, bytes.data(), n, values.data());
      for (std::int64_t i = 0; i < n; ++i) {
        float& value = values[static_cast<std::size_t>(i)];
        const auto channel = static_cast<std::size_t>((first + i) / per_channel);
        value = bias ? channels.bias(channel, value) : value * channels.factor(channel);
      }
      counts.add(codec.encode(*state, {.rows = 1, .cols = n}, values.data(), std::array{bytes}, nullptr));
      out = out.subspan(bytes.size());
      first += n;
    }
    // NaN and infinities are what they were, and met by who reads them.
    require_encodable({.overflow = counts.overflow}, type, tensor.name);
  }

  void require_range(std::size_t index, std::int64_t first, std::int64_t count, std::size_t out_bytes) const {
    const std::int64_t numel = tensors_[index].numel();
    const bool inside = first >= 0 && count >= 0 && first <= numel && count <= numel - first;
    if (inside && out_bytes == static_cast<std::size_t>(bytes_of(tensors_[index].dtype, count))) return;
    throw Error({.code = ErrorCode::Usage, .message = "range outside the tensor", .tensor = tensors_[index].name});
  }

  std::unique_ptr<Checkpoint> original_;
  std::vector<TensorInfo> tensors_;
  std::vector<FoldedTensor> folded_;
  std::vector<FoldedChannels> channels_;  // by fold
  std::vector<LeftOut> left_out_;
};

}  // namespace

std::unique_ptr<Checkpoint> make_folded_checkpoint(std::unique_ptr<Checkpoint> original,
                                                   std::vector<TensorInfo> tensors, std::vector<FoldedTensor> folded,
                                                   std::vector<FoldedChannels> channels,
                                                   std::vector<LeftOut> left_out) {
  return std::make_unique<FoldedCheckpoint>(std::move(original), std::move(tensors), std::move(folded),
                                            std::move(channels), std::move(left_out));
}

}  // namespace mq
