#include "src/digest.hpp"

#include <vector>

#include "src/active_table.hpp"
#include "src/sha256.hpp"

namespace mq {
namespace {

std::size_t digest_bytes(DigestKind kind) {
  return kind == DigestKind::Sha256 ? 32 : 16;
}

}  // namespace

ChunkDigest digest_chunk(DigestKind kind, std::span<const std::byte> bytes) {
  if (kind == DigestKind::Sha256) return sha256(bytes);
  ChunkDigest digest{};
  active_table().xxh3_128(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size(),
                          reinterpret_cast<std::uint8_t*>(digest.data()));
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

std::string digest_of(DigestKind kind, std::span<const std::byte> bytes) {
  const ChunkDigest chunk = digest_chunk(kind, bytes);
  return digest_text(kind, std::span(&chunk, 1));
}

}  // namespace mq
