// What the readers say about a file that may be hostile, and whether they may say that.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "mq/audit.hpp"
#include "mq/checkpoint.hpp"
#include "mq/contents.hpp"
#include "mq/error.hpp"

namespace mq::test {

inline constexpr std::int64_t kReadBudgetBytes = std::int64_t{4} << 20;

// Reads tensors until max_bytes have been read: small ones whole, of large ones the first and the last piece, because a
// few bytes of a file may describe a tensor of any size.
inline void read_within(const Checkpoint& checkpoint, std::int64_t max_bytes = kReadBudgetBytes) {
  constexpr std::int64_t kPieceBytes = 1 << 16;
  std::vector<std::byte> buffer;
  const auto tensors = checkpoint.tensors();
  for (std::size_t i = 0; i < tensors.size() && max_bytes > 0; ++i) {
    const auto& type = info(tensors[i].dtype);
    const std::int64_t blocks = tensors[i].numel() / type.block_numel;
    const std::int64_t piece = std::min(blocks, std::max<std::int64_t>(1, kPieceBytes / type.block_bytes));
    buffer.resize(static_cast<std::size_t>(piece * type.block_bytes));
    checkpoint.read(i, 0, piece * type.block_numel, buffer);
    if (piece < blocks) checkpoint.read(i, (blocks - piece) * type.block_numel, piece * type.block_numel, buffer);
    max_bytes -= piece * type.block_bytes;
  }
}

// What is wrong with an error about the content of this file; empty if it is as errors should be.
inline std::string complaint_about(const Error& error, const std::filesystem::path& path) {
  switch (error.code()) {
    case ErrorCode::Corrupt:
    case ErrorCode::Unsupported:
    case ErrorCode::Limit:
      break;
    default:
      return std::string("error of code ") + to_string(error.code()) + ": " + error.what();
  }
  const std::string what = error.what();
  if (!error.details().file.starts_with(path.string()) || what.find(path.string()) == std::string::npos) {
    return "error that does not name the file: " + what;
  }
  if (error.details().message.empty()) return "error without a message: " + what;
  if (std::ranges::any_of(what, [](char c) { return (c >= 0 && c < 32) || c == 127; })) {
    return "error with control characters: " + printable(what, 1000);
  }
  return {};
}

struct Verdict {
  std::optional<Error> error;  // nothing: opened and read
  std::string complaint;       // why this is a bug whatever the file holds; else empty
};

// Opens the file and reads from its tensors. Exceptions other than mq::Error pass.
inline Verdict verdict_of(const std::filesystem::path& path, const OpenOptions& options = {}) {
  try {
    const auto checkpoint = open_checkpoint(path, options);
    read_within(*checkpoint);
    return {};
  } catch (const Error& error) {
    return {error, complaint_about(error, path)};
  }
}

// Looks at the file in the ways that do not open it as a checkpoint: its tree of contents, and the audit. Empty if both
// behave, whatever they find.
inline std::string complaint_about_views(const std::filesystem::path& path) {
  const auto complaint_of = [&](auto&& look) {
    try {
      look();
    } catch (const Error& error) {
      return complaint_about(error, path);
    }
    return std::string();
  };
  std::string complaint = complaint_of([&] { list_contents(path, {}); });
  return complaint.empty() ? complaint_of([&] { audit(path); }) : complaint;
}

}  // namespace mq::test
