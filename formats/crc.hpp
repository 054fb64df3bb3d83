// CRC-32 of the zip format, by the kernels in use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace mq::formats {

// The CRC-32 of the bytes before, whose CRC-32 is crc (0 if there are none), followed by bytes.
// Throws: Usage if MQ_FORCE_ISA names kernels that cannot run here.
std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes);

}  // namespace mq::formats
