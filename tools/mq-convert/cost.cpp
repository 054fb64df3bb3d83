#include "tools/mq-convert/cost.hpp"

#include <system_error>

namespace mq::tool {

Cost cost_of(const Plan& plan, const Target& target, int threads) {
  Cost cost{.threads = threads,
            .memory = memory_bound(plan),
            .file_bytes = layout_size_bytes(plan.layout, target.format),
            .report_bytes = plan.layout.later_bytes};
  if (target.path.empty()) return cost;
  const std::filesystem::path path = target.path.has_filename() ? target.path : target.path.parent_path();
  cost.folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(cost.folder, error);
  if (!error) cost.free_bytes = static_cast<std::int64_t>(space.available);
  return cost;
}

}  // namespace mq::tool
