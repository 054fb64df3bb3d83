// Digests of tensor bytes that can be taken in pieces, in any order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace mq {

enum class DigestKind { Xxh3, Sha256 };

// One chunk's digest; XXH3-128 uses the first 16 bytes (canonical, big-endian).
using ChunkDigest = std::array<std::byte, 32>;

ChunkDigest digest_chunk(DigestKind kind, std::span<const std::byte> bytes);

// The digest of bytes that are one chunk, as digest_text() has it.
std::string digest_of(DigestKind kind, std::span<const std::byte> bytes);

// The digest of a tensor: that of its chunks' digests one after the other, as "xxh3-128:HEX" or "sha256:HEX".
std::string digest_text(DigestKind kind, std::span<const ChunkDigest> chunks);

}  // namespace mq
