#include "src/plan_limits.hpp"

#include <algorithm>
#include <string>

#include "formats/limits.hpp"
#include "src/saturating.hpp"

namespace mq {
namespace {

// Whatever tensors become, no output is 64 times as large as its input: up to here sums of sizes fit 64 bits.
constexpr std::int64_t kMaxTotalBytes = std::int64_t{1} << 57;

// Less is never refused: any machine writes so much in a moment, and a small file may well hold an expanded mask or
// compressed zeros and little else.
constexpr std::int64_t kFreeBytes = std::int64_t{64} << 20;

const SharedString& largest(const Source& source) {
  const auto bytes = [](const LogicalTensor& tensor) { return tensor.info.size_bytes(); };
  return std::ranges::max_element(source.tensors, {}, bytes)->info.name;
}

void require_countable(const Source& source) {
  std::int64_t total = 0;
  for (const LogicalTensor& tensor : source.tensors) total = saturating_add(total, tensor.info.size_bytes());
  if (std::max(total, source.stored_bytes) <= kMaxTotalBytes) return;
  throw Error({.code = ErrorCode::Limit,
               .message = "the tensors are too large together",
               .tensor = largest(source),
               .expected = "at most " + std::to_string(kMaxTotalBytes) + " bytes",
               .hint = "views that repeat a small storage can claim any size"});
}

}  // namespace

void require_sane_size(const Source& source, const Limits& limits) {
  if (source.tensors.empty()) return;
  require_countable(source);
  if (!source.file_bytes || source.stored_bytes <= kFreeBytes) return;
  const auto stored = static_cast<std::uint64_t>(source.stored_bytes);
  const auto file = static_cast<std::uint64_t>(std::max<std::int64_t>(*source.file_bytes, 1));
  if ((stored - 1) / file < limits.expansion) return;
  formats::refuse_limit(limits, &Limits::expansion,
                        {.message = "the tensors are larger than the files that hold them, and this one is the largest",
                         .tensor = largest(source),
                         .found = std::to_string((stored - 1) / file + 1) + " times: " + std::to_string(stored) +
                                  " bytes from " + std::to_string(file)});
}

}  // namespace mq
