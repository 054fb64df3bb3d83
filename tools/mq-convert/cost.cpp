#include "tools/mq-convert/cost.hpp"

#include <system_error>

#include "formats/io/file.hpp"

namespace mq::tool {

Cost cost_of(const Plan& plan, const Target& target, int threads) {
  Cost cost{.threads = threads,
            .memory_bytes = memory_bound_bytes(plan, threads),
            .file_bytes = layout_size_bytes(plan.layout, target.format),
            .report_bytes = report_bound_bytes(plan)};
  cost.output = target.path;
  if (target.path.empty()) return cost;
  const std::filesystem::path path = target.path.has_filename() ? target.path : target.path.parent_path();
  cost.folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(cost.folder, error);
  if (!error) cost.free_bytes = static_cast<std::int64_t>(space.available);
  return cost;
}

void require_disk_space(const Cost& cost) {
  io::require_free_space(cost.folder, static_cast<std::uint64_t>(cost.disk_bytes()), cost.output);
}

}  // namespace mq::tool
