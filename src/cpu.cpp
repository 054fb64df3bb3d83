#include "mq/cpu.hpp"

#include <string>

#include "kernels/dispatch.hpp"
#include "mq/error.hpp"
#include "src/active_table.hpp"

namespace mq {

const kernels::KernelTable& active_table() {
  const kernels::KernelTable* table = kernels::active_kernels();
  if (table != nullptr) return *table;
  throw Error(ErrorCode::Usage, std::string(kernels::forced_isa_problem()));
}

std::string_view active_isa() {
  return active_table().name;
}

std::vector<std::string_view> available_isas() {
  std::vector<std::string_view> names;
  for (const kernels::KernelTable* table : kernels::available_kernels()) names.emplace_back(table->name);
  return names;
}

}  // namespace mq
