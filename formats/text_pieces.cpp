#include "formats/text_pieces.hpp"

#include <string>

namespace mq::formats {

std::uint64_t write_pieces(io::File& file, const TextPieces& pieces) {
  constexpr std::size_t kBufferBytes = std::size_t{256} << 10;
  std::string buffer;
  std::uint64_t written = 0;
  const auto flush = [&] {
    file.resize(written + buffer.size());  // space and limits are asked for first: writing beyond one may be deadly
    file.write(written, std::as_bytes(std::span(buffer)));
    written += buffer.size();
    buffer.clear();
  };
  pieces([&](std::string_view piece) {
    buffer += piece;
    if (buffer.size() >= kBufferBytes) flush();
  });
  flush();
  return written;
}

}  // namespace mq::formats
