#include "src/validate_values.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "mq/pack.hpp"
#include "src/float_rows.hpp"
#include "src/matrix_reader.hpp"
#include "src/tile_grid.hpp"

namespace mq {
namespace {

struct Counts {
  std::atomic<std::int64_t> nan = 0;
  std::atomic<std::int64_t> plus_infinity = 0;
  std::atomic<std::int64_t> minus_infinity = 0;
  std::atomic<std::int64_t> zero = 0;

  void add(std::span<const float> values) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    std::int64_t n = 0, plus = 0, minus = 0, zeros = 0;
    for (const float x : values) {
      n += std::isnan(x) ? 1 : 0;
      plus += x == kInfinity ? 1 : 0;
      minus += x == -kInfinity ? 1 : 0;
      zeros += x == 0 ? 1 : 0;
    }
    nan += n;
    plus_infinity += plus;
    minus_infinity += minus;
    zero += zeros;
  }
  std::int64_t infinite() const { return plus_infinity + minus_infinity; }
};

std::string count_of(std::int64_t count, std::int64_t all) {
  return std::to_string(count) + " of " + std::to_string(all);
}

class ValueCheck {
 public:
  ValueCheck(const Checkpoint& checkpoint, const LogicalTensor& tensor, const QuantSpec* limits, Executor& executor,
             std::vector<Finding>& findings)
      : checkpoint_(checkpoint), tensor_(tensor), limits_(limits), executor_(executor), findings_(findings) {}

  void run() {
    if (!tensor_.spec) {
      if (is_readable_float(tensor_.info.dtype)) check_floats();
      if (is_quantized_block(tensor_.info.dtype)) {
        const std::string type(to_string(tensor_.info.dtype));
        report(Finding::Severity::Warning, "values are not checked: " + type + " blocks are not decoded");
      }
      return;
    }
    bool parts_fine = true;
    for (const StoredPart& part : tensor_.parts) {
      if (part.part == "scale" || part.part == "input_scale") parts_fine = check_scales(part) && parts_fine;
      const bool packed = part.form.packing != PartForm::Packing::None;
      if (tensor_.spec->is_integer() && (part.part == "codes" || (part.part == "zero_point" && !packed))) {
        parts_fine = check_codes(part) && parts_fine;
      }
    }
    // What is not finite here follows from a bad scale, which has been reported.
    if (parts_fine) check_floats();
  }

 private:
  void report(Finding::Severity severity, std::string message) {
    findings_.push_back({severity, tensor_.info.name, std::move(message)});
  }
  void fail(std::string message) { report(Finding::Severity::Failure, std::move(message)); }

  const TensorInfo& stored(const StoredPart& part) const { return checkpoint_.tensors()[part.tensor]; }

  void check_floats() {
    const MatrixReader reader(checkpoint_, tensor_);
    const TileGrid grid = make_reading_grid(reader.shape(), tensor_.transposed || stores_strips(tensor_));
    Counts counts;
    executor_.parallel_for(grid.count(), [&](std::int64_t i) {
      const Tile tile = grid.tile(i);
      std::vector<float> values(static_cast<std::size_t>(tile.rows * tile.cols));
      Scratch scratch;
      reader.read(tile, values.data(), scratch);
      counts.add(values);
    });
    const std::int64_t all = tensor_.info.numel();
    const std::string what = tensor_.spec ? " decoded values are " : " values are ";
    if (counts.nan > 0) fail(count_of(counts.nan, all) + what + "NaN");
    if (counts.infinite() == 0) return;
    // Masks of attention are made of zeros and negative infinities.
    const bool mask = !tensor_.spec && counts.plus_infinity == 0 && counts.nan == 0;
    report(mask ? Finding::Severity::Warning : Finding::Severity::Failure,
           count_of(counts.infinite(), all) + what + (mask ? "-infinity (a mask?)" : "infinite"));
  }

  bool check_scales(const StoredPart& part) {
    constexpr std::int64_t kChunk = 1 << 18;
    // Codes of scales have no bad values; decoded weights show what they are worth.
    if (part.form.value == PartForm::Value::Nested) return true;
    // Tiles are padded with zeros, which stand for blocks of zeros too.
    if (part.form.packing == PartForm::Packing::Tiles) return true;
    TensorInfo scales = stored(part);
    if (scales.dtype == DType::UInt8) scales.dtype = *tensor_.spec->scale_dtype;  // exponents
    const std::int64_t all = scales.numel();
    Counts counts;
    std::vector<std::byte> bytes;
    std::vector<float> values;
    for (std::int64_t first = 0; first < all; first += kChunk) {
      const std::int64_t count = std::min(kChunk, all - first);
      bytes.resize(static_cast<std::size_t>(bytes_of(scales.dtype, count)));
      values.resize(static_cast<std::size_t>(count));
      checkpoint_.read(part.tensor, first, count, bytes);
      widen(scales.dtype, bytes.data(), count, values.data());
      counts.add(values);
    }
    if (counts.nan + counts.infinite() > 0) {
      fail(count_of(counts.nan + counts.infinite(), all) + " scales are not finite");
    }
    if (counts.zero > 0) fail(count_of(counts.zero, all) + " scales are zero");
    return counts.nan + counts.infinite() + counts.zero == 0;
  }

  // Codes or zero points, rows of the stored tensor at a time.
  bool check_codes(const StoredPart& part) {
    const QuantSpec& spec = *tensor_.spec;
    const bool codes = part.part == "codes";
    const bool narrow = codes && limits_ != nullptr && limits_->mapping == Mapping::Symmetric &&
                        limits_->range == RangeKind::Narrow && limits_->element == DType::Int8;
    const std::int32_t least = narrow ? -spec.qmax() : spec.qmin();
    const bool packed = part.form.packing != PartForm::Packing::None;
    const std::int64_t row_codes = packed ? row_numel() : stored(part).numel();
    // Every pattern of bits is a code of a full range.
    if (row_codes == 0 || (!narrow && (packed || spec.bits == 8))) return true;
    // Narrow codes are told from others where they lie in rows.
    if (packed && part.form != PartForm{.packing = PartForm::Packing::Along}) return true;
    const std::int64_t outside = packed ? packed_outside(part, least, row_codes) : plain_outside(part, least);
    if (outside == 0) return true;
    fail(count_of(outside, codes ? tensor_.info.numel() : stored(part).numel()) + (codes ? " codes" : " zero points") +
         " are outside " + std::to_string(least) + ".." + std::to_string(spec.qmax()));
    return false;
  }

  // Weights of a row of the matrix that is packed.
  std::int64_t row_numel() const {
    Shape shape = tensor_.info.shape;
    if (tensor_.transposed) std::swap(shape.front(), shape.back());
    return matrix_shape(shape, tensor_.leading_dims).cols;
  }

  std::int64_t plain_outside(const StoredPart& part, std::int32_t least) const {
    constexpr std::int64_t kChunk = 1 << 20;
    const TensorInfo& info = stored(part);
    const std::int64_t chunks = (info.numel() + kChunk - 1) / kChunk;
    std::atomic<std::int64_t> outside = 0;
    executor_.parallel_for(chunks, [&](std::int64_t i) {
      const std::int64_t count = std::min(kChunk, info.numel() - i * kChunk);
      std::vector<std::byte> bytes(static_cast<std::size_t>(count));
      checkpoint_.read(part.tensor, i * kChunk, count, bytes);
      outside += std::count_if(bytes.begin(), bytes.end(), [&](std::byte byte) {
        const auto raw = static_cast<std::uint8_t>(byte);
        const std::int32_t code = info.dtype == DType::Int8 ? static_cast<std::int8_t>(raw) : raw;
        return code < least || code > tensor_.spec->qmax();
      });
    });
    return outside;
  }

  std::int64_t packed_outside(const StoredPart& part, std::int32_t least, std::int64_t row_codes) const {
    const int bits = tensor_.spec->bits;
    const std::int64_t words = packed_row_bytes(row_codes, bits) / 4;
    const std::int64_t rows = stored(part).numel() / words;
    const std::int64_t band = std::max<std::int64_t>(1, (1 << 18) / words);
    const std::int32_t bias = tensor_.spec->qmin();
    std::atomic<std::int64_t> outside = 0;
    executor_.parallel_for((rows + band - 1) / band, [&](std::int64_t i) {
      const std::int64_t count = std::min(band, rows - i * band);
      std::vector<std::uint8_t> packed(static_cast<std::size_t>(count * words * 4));
      std::vector<std::uint8_t> codes(static_cast<std::size_t>(count * row_codes));
      checkpoint_.read(part.tensor, i * band * words, count * words, std::as_writable_bytes(std::span(packed)));
      unpack_bits(packed, row_codes, bits, codes);
      outside += std::count_if(codes.begin(), codes.end(), [&](std::uint8_t code) { return code + bias < least; });
    });
    return outside;
  }

  const Checkpoint& checkpoint_;
  const LogicalTensor& tensor_;
  const QuantSpec* limits_;
  Executor& executor_;
  std::vector<Finding>& findings_;
};

}  // namespace

void check_values(const Checkpoint& checkpoint, const LogicalTensor& tensor, const QuantSpec* limits,
                  Executor& executor, std::vector<Finding>& findings) {
  ValueCheck(checkpoint, tensor, limits, executor, findings).run();
}

}  // namespace mq
