#include "formats/sniff.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "formats/format.hpp"
#include "formats/io/file.hpp"
#include "mq/error.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kProbeBytes = 4096;

// A kind of file known by the bytes at a fixed place.
struct Signature {
  std::size_t offset;
  std::string_view bytes;
  std::string_view title;
  std::string_view hint;
};

constexpr std::string_view kUnpack = "unpack it first";

constexpr std::array kSignatures{
    Signature{0, "version https://git-lfs"sv, "a Git LFS pointer", "the model itself was not downloaded: git lfs pull"},
    Signature{0, "\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras or MATLAB)", ""},
    Signature{0, "lmgg"sv, "a GGML model of an outdated format", ""},
    Signature{0, "tjgg"sv, "a GGML model of an outdated format", ""},
    Signature{0, "fmgg"sv, "a GGML model of an outdated format", ""},
    Signature{4, "TFL3"sv, "a TensorFlow Lite model", ""},
    Signature{0, "PAR1"sv, "an Apache Parquet table", ""},
    Signature{0, "PK\x03\x04"sv, "a zip archive that is no PyTorch checkpoint", ""},
    Signature{0, "PK\x05\x06"sv, "an empty zip archive", ""},
    Signature{257, "ustar"sv, "a tar archive", kUnpack},
    Signature{0, "\x1f\x8b"sv, "a gzip archive", kUnpack},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "a Zstandard archive", kUnpack},
    Signature{0, "\xfd\x37zXZ"sv, "an xz archive", kUnpack},
    Signature{0, "BZh"sv, "a bzip2 archive", kUnpack},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, "a 7-Zip archive", kUnpack},
    Signature{0, "Rar!"sv, "a RAR archive", kUnpack},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "a program", ""},
    Signature{0, "MZ"sv, "a program", ""},
    Signature{0, "%PDF"sv, "a PDF document", ""},
    Signature{0, "\x89PNG"sv, "an image", ""},
};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

bool is_html(std::string_view trimmed) {
  const std::string start = lower_case(trimmed.substr(0, 64));
  return start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head");
}

// UTF-8 without control characters; a character that the end of the probe cuts does not count.
bool is_text(std::string_view probe) {
  const std::size_t valid = utf8_valid_bytes(probe);
  if (probe.size() - valid > 3 || (valid != probe.size() && probe.size() < kProbeBytes)) return false;
  return std::ranges::none_of(probe.substr(0, valid), [](char c) {
    return c >= 0 && c < 32 && "\t\n\r\f\x1b"sv.find(c) == std::string_view::npos;
  });
}

// ModelProto begins with the field ir_version, a small number, and then producer_name or a graph.
bool is_onnx(std::string_view probe) {
  return probe.size() > 3 && probe[0] == 0x08 && probe[1] > 0 && probe[1] < 20 &&
         (probe[2] == 0x12 || probe[2] == 0x3a || probe[2] == 0x42);
}

bool is_pickle(std::string_view probe) {
  return probe.size() > 2 && probe[0] == '\x80' && probe[1] >= 2 && probe[1] <= 5;
}

struct Kind {
  std::string_view title;
  std::string_view hint;
};

Kind recognise(std::string_view probe) {
  for (const Signature& signature : kSignatures) {
    if (probe.size() >= signature.offset && probe.substr(signature.offset).starts_with(signature.bytes)) {
      return {signature.title, signature.hint};
    }
  }
  if (is_pickle(probe)) return {"a bare pickle", "mq-convert audit lists what it holds"};
  if (is_onnx(probe)) return {"an ONNX model", ""};
  if (is_text(probe)) {
    const std::string_view trimmed = probe.substr(std::min(probe.find_first_not_of(" \t\r\n"), probe.size()));
    if (is_html(trimmed)) return {"an HTML page", "the download gave an error page or needs a login"};
    if (trimmed.starts_with("{") || trimmed.starts_with("[")) return {"a JSON text without tensors", ""};
    return {"a text file", ""};
  }
  if (std::ranges::all_of(probe, [](char c) { return c == 0; })) {
    return {"zero bytes", "the download or copy was probably interrupted"};
  }
  return {};
}

// "safetensors file, PyTorch checkpoint".
std::string readable_titles() {
  std::string titles;
  for (const Format* format : all_formats()) {
    if (format->open == nullptr || format->suffix.empty()) continue;
    titles += (titles.empty() ? "" : ", ") + std::string(format->title);
  }
  return titles;
}

}  // namespace

void require_exists(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) {
    throw Error({.code = ErrorCode::Io, .message = "no such file or directory", .file = path.string()});
  }
  if (error) io::throw_io(path, "look at", error.value());
}

void throw_unrecognised(const std::filesystem::path& path) {
  const io::File file = io::File::open(path);
  if (file.size() == 0) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "not a checkpoint",
                 .file = path.string(),
                 .expected = readable_titles(),
                 .found = "an empty file"});
  }
  std::array<char, kProbeBytes> bytes{};
  const std::string_view probe(bytes.data(),
                               static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), bytes.size())));
  file.read(0, std::as_writable_bytes(std::span(bytes).first(probe.size())));
  const Kind kind = recognise(probe);
  throw Error({.code = kind.title.empty() ? ErrorCode::Corrupt : ErrorCode::Unsupported,
               .message = "not a checkpoint of a known format",
               .file = path.string(),
               .expected = readable_titles(),
               .found = kind.title.empty() ? std::to_string(file.size()) + " bytes of unknown meaning"
                                           : std::string(kind.title),
               .hint = std::string(kind.hint)});
}

}  // namespace mq::formats
