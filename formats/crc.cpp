#include "formats/crc.hpp"

#include <string>

#include "kernels/dispatch.hpp"
#include "mq/error.hpp"

namespace mq::formats {

std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) {
  const kernels::KernelTable* table = kernels::active_kernels();
  if (table == nullptr) throw Error(ErrorCode::Usage, std::string(kernels::forced_isa_problem()));
  return table->crc32(crc, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace mq::formats
