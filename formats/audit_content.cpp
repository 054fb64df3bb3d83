// What a range of a file is, judged by its first bytes.
#include <algorithm>
#include <array>

#include "formats/audit_search.hpp"
#include "formats/tar.hpp"
#include "formats/zip.hpp"
#include "mq/error.hpp"

namespace mq::formats::audit {
namespace {

using namespace std::string_view_literals;

constexpr int kMaxDepth = 8;
// What looking at a part costs, however small it is: opening it, and saying what is wrong with it.
constexpr std::uint64_t kLeastCost = 4096;
constexpr std::size_t kProbeBytes = 512;
constexpr std::size_t kZipEndBytes = 22;
constexpr std::size_t kMaxCommentBytes = 0xffff;

struct Compressed {
  std::string_view bytes;
  std::string_view title;
};
constexpr std::array kCompressed{
    Compressed{"\x1f\x8b"sv, "gzip"},  Compressed{"\x28\xb5\x2f\xfd"sv, "Zstandard"},
    Compressed{"\xfd\x37zXZ"sv, "xz"}, Compressed{"BZh"sv, "bzip2"},
    Compressed{"\x78\x01"sv, "zlib"},  Compressed{"\x78\x5e"sv, "zlib"},
    Compressed{"\x78\x9c"sv, "zlib"},  Compressed{"\x78\xda"sv, "zlib"},
};

std::string probe(const io::File& file, const Part& part, std::size_t most) {
  std::string bytes(static_cast<std::size_t>(std::min<std::uint64_t>(part.size_bytes, most)), '\0');
  file.read(part.offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Containers of numbers and text: nothing in them is ever unpickled.
bool holds_no_pickle(std::string_view first, std::uint64_t size_bytes) {
  if (first.starts_with("GGUF")) return true;
  return first.size() > 8 && first[8] == '{' && little_endian(first.substr(0, 8)) <= size_bytes - 8;
}

}  // namespace

// The header is a dict in Python's notation; a type of objects is written with an O.
bool Search::look_at_npy(const Part& part) {
  const std::string first = probe(file_, part, 12);
  if (first.size() < 12) return false;
  const bool wide = first[6] >= 2;
  const std::uint64_t header_bytes = little_endian(std::string_view(first).substr(8, wide ? 4 : 2));
  const std::uint64_t data = (wide ? 12 : 10) + header_bytes;
  if (data > part.size_bytes) {
    add(Verdict::Corrupt, part.where, 8, "header of an array that reaches beyond its end");
    return true;
  }
  const std::string header = probe(file_, part, static_cast<std::size_t>(std::min(data, limits_.header_bytes)));
  if (header.find("O'") == std::string::npos && header.find("O\"") == std::string::npos) return true;
  add(Verdict::Known, part.where, std::nullopt, "an array of objects: numpy.load unpickles it if it is allowed to");
  stream({part.offset + data, part.size_bytes - data, part.where, part.depth}, Expect::Pickle);
  return true;
}

// Readers of zip archives find them from their end; where they begin hardly matters to them.
bool Search::has_zip_behind() {
  const std::uint64_t searched = std::min<std::uint64_t>(file_.size(), kZipEndBytes + kMaxCommentBytes);
  const std::string tail = probe(file_, {file_.size() - searched, searched, {}, 0}, static_cast<std::size_t>(searched));
  const std::size_t end = tail.rfind("PK\5\6");
  if (end == std::string::npos || tail.size() - end < kZipEndBytes) return false;
  return little_endian(std::string_view(tail).substr(end + kZipEndBytes - 2, 2)) == tail.size() - end - kZipEndBytes;
}

bool Search::look(const Part& part) {
  const std::string first = probe(file_, part, kProbeBytes);
  if (ZipArchive::begins(std::as_bytes(std::span(first)))) {
    look_at_zip(*this, part);
    return true;
  }
  // What begins as something else may still be an archive for readers that begin at the end.
  const bool polyglot = part.depth == 0 && has_zip_behind();
  if (polyglot) {
    add(Verdict::Corrupt, part.where, std::nullopt, "bytes before a zip archive, which some readers pass over");
    look_at_zip(*this, part);
  }
  if (first.starts_with("\x93NUMPY")) return look_at_npy(part);
  // The beginnings of the formats below can be spelled in opcodes: what is a pickle too is audited as one.
  const bool is_pickle = stream(part, Expect::Anything);
  if (looks_like_tar(file_.part(part.offset, part.size_bytes, part.where))) {
    look_at_tar(*this, part);
    return true;
  }
  if (is_pickle || polyglot || holds_no_pickle(first, part.size_bytes)) return true;
  for (const Compressed& kind : kCompressed) {
    if (!first.starts_with(kind.bytes)) continue;
    add(Verdict::Corrupt, part.where, std::nullopt,
        "compressed (" + std::string(kind.title) + "): not looked into, unpack it first");
    return true;
  }
  return false;
}

void Search::later(Part part) {
  if (part.depth <= kMaxDepth) {
    if (spend(std::max(part.size_bytes, kLeastCost), part.where)) pending_.push_back(std::move(part));
    return;
  }
  add(Verdict::Corrupt, part.where, std::nullopt,
      "more than " + std::to_string(kMaxDepth) + " containers inside each other: not looked into");
}

bool Search::run() {
  const bool known = look({0, file_.size(), {}, 0});
  while (!pending_.empty()) {
    const Part part = std::move(pending_.back());
    pending_.pop_back();
    look(part);
  }
  return known;
}

}  // namespace mq::formats::audit
