// The journal of an output that may be continued: what run it belongs to, and the steps whose bytes are on the disk.
//
// Text, one line each, only ever appended: the checksum of a JSON value and the value. A line that was not written
// whole, and all after it, does not count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/convert.hpp"
#include "src/json.hpp"

namespace mq {

// A step that is done, and the bytes it has written.
struct JournalEntry {
  std::size_t step = 0;
  StepReport report;
  std::vector<std::string> outputs;  // digests of the tensors stored, in the order of Step::outputs

  bool operator==(const JournalEntry&) const = default;
};

class Journal {
 public:
  // Opens the journal in `folder`. If there is none, or nothing of it is whole, all else in the folder is removed and a
  // new journal begins. Throws: Usage, saying what differs, if it belongs to a run of another identity; Io.
  Journal(const std::filesystem::path& folder, const json::Value& identity);

  // Of the run that was not finished, in the order of the steps; the last entry of a step counts.
  const std::map<std::size_t, JournalEntry>& entries() const noexcept { return entries_; }

  // Appends entries; they are on the disk when it returns. Throws: Io.
  void append(std::span<const JournalEntry> entries);

 private:
  void begin(const std::filesystem::path& folder, const json::Value& identity);
  void append_text(const std::string& text);

  io::File file_;
  std::uint64_t end_ = 0;
  std::map<std::size_t, JournalEntry> entries_;
};

}  // namespace mq
