// Runs a codec on a matrix that is cut into tiles, as a conversion does.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "src/codecs/codec.hpp"

namespace mq::test {

struct Encoded {
  std::vector<std::vector<std::byte>> parts;  // in the order of Codec::parts()
  EncodeCounts counts;

  bool operator==(const Encoded& other) const { return parts == other.parts; }
};

CodecRequest request_for(const std::string& spec, const Shape& shape, CodeForm form = CodeForm::Bytes,
                         bool two_pass = false);

std::vector<Tile> whole(const BlockLayout& layout);

// Tiles that cover the matrix: bands of at most `rows` rows, cut every `cols` columns (a multiple of 32).
std::vector<Tile> cut(const BlockLayout& layout, std::int64_t rows, std::int64_t cols);

// Encodes tile by tile, in that order; memory holds `fill` before. Every byte that no call writes keeps it.
Encoded encode(const CodecRequest& request, std::span<const float> x, std::span<const Tile> tiles,
               const QParams* given = nullptr, std::byte fill = std::byte{0xa5}, ErrorStats* error = nullptr);

std::vector<float> decode(const CodecRequest& request, const Encoded& encoded, std::span<const Tile> tiles);

}  // namespace mq::test
