#include "mq/convert.hpp"
#include "src/float_rows.hpp"
#include "src/value_range.hpp"

namespace mq {
namespace {

Range range_of(const Checkpoint& checkpoint, const LogicalTensor& tensor) {
  const kernels::Range found = value_range(checkpoint, tensor);
  if (found.nonfinite == 0) return {found.lo, found.hi};
  throw Error({.code = ErrorCode::Numeric,
               .message = "has no range",
               .tensor = tensor.info.name,
               .expected = "finite values",
               .found = "NaN or infinity"});
}

}  // namespace

Analysis analyse(const Checkpoint& checkpoint, const Source& source, Executor& executor) {
  std::vector<std::optional<Range>> ranges(source.tensors.size());
  executor.parallel_for(static_cast<std::int64_t>(ranges.size()), [&](std::int64_t i) {
    const LogicalTensor& tensor = source.tensors[static_cast<std::size_t>(i)];
    if (tensor.spec || is_readable_float(tensor.info.dtype)) {
      ranges[static_cast<std::size_t>(i)] = range_of(checkpoint, tensor);
    }
  });
  Analysis analysis;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i]) analysis.ranges.emplace(source.tensors[i].info.name, *ranges[i]);
  }
  return analysis;
}

}  // namespace mq
