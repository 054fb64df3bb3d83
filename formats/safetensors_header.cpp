#include "formats/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "formats/duplicates.hpp"
#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/limits.hpp"
#include "formats/safetensors_dtype.hpp"
#include "formats/safetensors_parser.hpp"
#include "mq/error.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

constexpr std::uint64_t kLengthBytes = 8;

using Extent = SafetensorsExtent;

[[noreturn]] void corrupt(const io::File& file, std::uint64_t offset, std::string message, std::string expected,
                          std::string found, const std::string& tensor = {}) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = file.path().string(),
               .tensor = tensor,
               .offset = offset,
               .expected = std::move(expected),
               .found = std::move(found)});
}

std::uint64_t read_length(const io::File& file) {
  std::array<std::byte, kLengthBytes> bytes{};
  if (file.size() < bytes.size()) {
    corrupt(file, file.size(), "header too small", "8 bytes of length", std::to_string(file.size()) + " bytes");
  }
  file.read(0, bytes);
  return io::ByteReader(bytes, file.path().string()).u64();
}

std::string read_json(const io::File& file, const Limits& limits) {
  const std::uint64_t length = read_length(file);
  if (length > limits.header_bytes) {
    refuse_limit(limits, &Limits::header_bytes,
                 {.message = "header too large",
                  .file = file.path().string(),
                  .offset = 0,
                  .found = std::to_string(length) + " bytes"});
  }
  if (!io::range_fits(kLengthBytes, length, file.size())) {
    corrupt(file, 0, "invalid header length",
            "at most the " + std::to_string(file.size() - kLengthBytes) + " bytes left", std::to_string(length));
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  file.read(kLengthBytes, std::as_writable_bytes(std::span(text)));
  if (const std::size_t valid = utf8_valid_bytes(text); valid != text.size()) {
    corrupt(file, kLengthBytes + valid, "invalid UTF-8 in header", "UTF-8", "");
  }
  return text;
}

void refuse_duplicates(const io::File& file, const SafetensorsParser& parser) {
  std::vector<std::string_view> names;
  for (const TensorInfo& tensor : parser.tensors) names.emplace_back(tensor.name);
  if (const auto twice = find_duplicate(std::move(names))) {
    corrupt(file, kLengthBytes, "tensor name twice", "unique names", "", std::string(*twice));
  }
  std::vector<std::string_view> keys;
  for (const auto& entry : parser.metadata) keys.emplace_back(entry.first);
  if (const auto twice = find_duplicate(std::move(keys))) {
    corrupt(file, kLengthBytes, "key twice in __metadata__", "unique keys", std::string(*twice));
  }
}

// Bytes that dtype and shape ask for.
std::uint64_t require_size(const io::File& file, const TensorInfo& tensor, std::uint64_t offset) {
  try {
    return static_cast<std::uint64_t>(tensor.size_bytes());
  } catch (const Error& error) {
    ErrorDetails details = error.details();
    details.file = file.path().string();
    details.tensor = tensor.name;
    details.offset = offset;
    throw Error(std::move(details));
  }
}

// The extents, in order, begin at 0, follow each other without hole or overlap, fit their tensors and end with the
// file.
void require_exact_cover(const io::File& file, std::uint64_t data_begin, const std::vector<TensorInfo>& tensors,
                         const std::vector<Extent>& extents) {
  std::vector<std::uint32_t> order(extents.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto extent_of = [&](std::uint32_t i) { return std::pair(extents[i].begin, extents[i].end); };
  if (!std::ranges::is_sorted(order, {}, extent_of)) std::ranges::stable_sort(order, {}, extent_of);
  const std::uint64_t data_bytes = file.size() - data_begin;
  std::uint64_t covered = 0;
  for (const std::uint32_t i : order) {
    const auto [begin, end] = extents[i];
    const std::uint64_t offset = data_begin + covered;
    const SharedString& name = tensors[i].name;
    if (begin != covered || end < begin) {
      corrupt(file, offset, "invalid offset", "data_offsets that begin at " + std::to_string(covered),
              "[" + std::to_string(begin) + ", " + std::to_string(end) + "]", name);
    }
    const std::uint64_t size = require_size(file, tensors[i], offset);
    if (end - begin != size) {
      corrupt(file, offset, "data_offsets do not fit dtype and shape", std::to_string(size) + " bytes",
              std::to_string(end - begin), name);
    }
    if (end > data_bytes) {
      corrupt(file, offset, "the file ends inside the tensor", std::to_string(size) + " bytes",
              std::to_string(data_bytes - std::min(begin, data_bytes)), name);
    }
    covered = end;
  }
  if (covered != data_bytes) {
    corrupt(file, data_begin + covered, "bytes after the last tensor", "the end of the file",
            std::to_string(data_bytes - covered) + " bytes");
  }
}

}  // namespace

bool looks_like_safetensors(const io::File& file) {
  constexpr std::size_t kProbeBytes = 64;
  std::array<std::byte, kProbeBytes> bytes{};
  const auto probe =
      std::span(bytes).first(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kProbeBytes)));
  if (probe.size() <= kLengthBytes) return false;
  file.read(0, probe);
  io::ByteReader reader(probe, "");
  const std::uint64_t length = reader.u64();
  std::string_view text = reader.text(reader.remaining());
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n\r"), text.size()));
  // A text or a GGUF file may well have a brace in the ninth place; their first eight bytes make a huge length, though,
  // and the tenth is rarely a quote.
  const std::string_view start = length <= Limits{}.header_bytes ? "{" : "{\"";
  const bool is_text = utf8_valid_bytes({reinterpret_cast<const char*>(probe.data()), kLengthBytes}) == kLengthBytes &&
                       std::ranges::none_of(probe.first(kLengthBytes), [](std::byte b) { return b < std::byte{9}; });
  return !is_text && text.starts_with(start);
}

SafetensorsHeader read_safetensors_header(const io::File& file, const Limits& limits) {
  SafetensorsParser parser(file.path().string(), kLengthBytes, limits);
  std::uint64_t data_begin = kLengthBytes;
  {
    const std::string text = read_json(file, limits);
    json::parse_events(text, file.path().string(), parser);
    data_begin += text.size();
  }
  refuse_duplicates(file, parser);
  require_exact_cover(file, data_begin, parser.tensors, parser.extents);
  file.check_unchanged();
  SafetensorsHeader header{.tensors = std::move(parser.tensors), .offsets = {}, .metadata = std::move(parser.metadata)};
  header.offsets.reserve(parser.extents.size());
  for (const Extent& extent : parser.extents) header.offsets.push_back(data_begin + extent.begin);
  return header;
}

}  // namespace mq::formats
