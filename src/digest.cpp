#include "src/digest.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <vector>

#include "src/sha256.hpp"

namespace mq {
namespace {

std::size_t digest_bytes(DigestKind kind) {
  return kind == DigestKind::Sha256 ? 32 : 16;
}

}  // namespace

ChunkDigest digest_chunk(DigestKind kind, std::span<const std::byte> bytes) {
  if (kind == DigestKind::Sha256) return sha256(bytes);
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  ChunkDigest digest{};
  std::memcpy(digest.data(), canonical.digest, sizeof canonical.digest);
  return digest;
}

std::string digest_text(DigestKind kind, std::span<const ChunkDigest> chunks) {
  const std::size_t size = digest_bytes(kind);
  std::vector<std::byte> all;
  all.reserve(chunks.size() * size);
  for (const ChunkDigest& chunk : chunks) all.insert(all.end(), chunk.begin(), chunk.begin() + size);
  const ChunkDigest digest = digest_chunk(kind, all);
  std::string text = kind == DigestKind::Sha256 ? "sha256:" : "xxh3-128:";
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = 0; i < size; ++i) {
    text += kHex[std::to_integer<std::size_t>(digest[i] >> 4)];
    text += kHex[std::to_integer<std::size_t>(digest[i] & std::byte{15})];
  }
  return text;
}

}  // namespace mq
