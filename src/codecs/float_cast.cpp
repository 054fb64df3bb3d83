// Plain floats of another type: one part, the values rounded to nearest even. NaN and infinities stay what they are.
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "src/active_table.hpp"
#include "src/codecs/codecs.hpp"
#include "src/float_rows.hpp"

namespace mq {
namespace {

// Bits of the smallest float that rounds to infinity.
constexpr std::uint32_t kInfinity = 0x7f800000, kHalfOverflow = 0x477ff000, kBrainOverflow = 0x7f7f8000;

std::span<const SchemeInfo> list_schemes() {
  const auto row = [](std::string_view name, DType element, int bits, std::string_view description) {
    return SchemeInfo{
        name, {.codec = "float_cast", .element = element, .bits = bits, .granularity = PerTensor{}}, description};
  };
  static const std::array<SchemeInfo, 3> rows{
      row("bf16", DType::BFloat16, 16, "bfloat16 values"),
      row("fp16", DType::Float16, 16, "IEEE half precision values"),
      row("fp32", DType::Float32, 32, "IEEE single precision values"),
  };
  return rows;
}

void check(const QuantSpec& spec) {
  for (const SchemeInfo& row : list_schemes()) {
    QuantSpec plain = row.spec;
    plain.scale_dtype = spec.scale_dtype;  // without meaning here
    if (spec == plain) return;
  }
  throw Error(ErrorCode::Usage, "bf16, fp16 and fp32 have neither scales nor activations");
}

std::vector<PartInfo> parts(const CodecRequest& request) {
  if (request.form != CodeForm::Bytes) throw Error(ErrorCode::Usage, "floats cannot be packed");
  const MatrixShape& matrix = request.layout.matrix;
  return {{"codes", request.spec.element, matrix.rows, bytes_of(request.spec.element, matrix.cols)}};
}

class CastState final : public CodecState {
 public:
  explicit CastState(DType element) : element_(element) {}
  DType element() const noexcept { return element_; }

 private:
  DType element_;
};

std::unique_ptr<CodecState> begin(const CodecRequest& request, const QParams* given) {
  if (given != nullptr) throw Error(ErrorCode::Usage, "a plain float type takes no scales");
  return std::make_unique<CastState>(request.spec.element);
}

EncodeCounts observe(CodecState&, const Tile&, const float*) {
  return {};
}

EncodeCounts count(const float* x, std::int64_t n, DType element) {
  kernels::Range range{};
  active_table().range(x, 1, static_cast<std::size_t>(n), &range);
  EncodeCounts counts{.nonfinite = static_cast<std::int64_t>(range.nonfinite)};
  const std::uint32_t overflow = element == DType::Float16    ? kHalfOverflow
                                 : element == DType::BFloat16 ? kBrainOverflow
                                                              : kInfinity;
  const float limit = std::bit_cast<float>(overflow);
  if (range.hi < limit && -range.lo < limit) return counts;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffu;
    counts.overflow += magnitude >= overflow && magnitude < kInfinity;
  }
  return counts;
}

EncodeCounts encode(const CodecState& base, const Tile& tile, const float* x, PartSpans spans, ErrorStats*) {
  const DType element = static_cast<const CastState&>(base).element();
  const kernels::KernelTable& k = active_table();
  const auto width = static_cast<std::int64_t>(info(element).block_bytes);
  const std::int64_t numel = tile.rows * tile.cols;
  EncodeCounts counts;
  // Pieces that are still in the cache when they are read the second time.
  for (std::int64_t first = 0; first < numel; first += kStripNumel) {
    const std::int64_t n = std::min(kStripNumel, numel - first);
    std::byte* const out = spans[0].data() + first * width;
    counts.add(count(x + first, n, element));
    if (element == DType::Float16) {
      k.f32_to_f16(x + first, static_cast<std::size_t>(n), reinterpret_cast<std::uint16_t*>(out));
    } else if (element == DType::BFloat16) {
      k.f32_to_bf16(x + first, static_cast<std::size_t>(n), reinterpret_cast<std::uint16_t*>(out));
    } else {
      std::memcpy(out, x + first, static_cast<std::size_t>(n) * sizeof(float));
    }
  }
  return counts;
}

void decode(const CodecRequest& request, const Tile& tile, ConstPartSpans spans, float* y) {
  widen(request.spec.element, spans[0].data(), tile.rows * tile.cols, y);
}

}  // namespace

constinit const Codec kFloatCast = {
    .name = "float_cast",
    .options = {},
    .schemes = list_schemes,
    .check = check,
    .parts = parts,
    .state_bytes = [](const CodecRequest&) -> std::int64_t { return 0; },
    .observes = [](const CodecRequest&) { return false; },
    .begin = begin,
    .observe = observe,
    .settle = [](CodecState&) {},
    .encode = encode,
    .finish = [](const CodecState&, PartSpans) {},
    .decode = decode,
};

}  // namespace mq
