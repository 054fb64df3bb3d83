// OUT.partial: the folder in which an output is built that may be continued after its process has ended. One process at
// a time has it.
#pragma once

#include <filesystem>

namespace mq::io {

class PartialFolder {
 public:
  // The file of the engine that says what is done.
  static constexpr const char* kJournal = "journal";

  // Beside `target`, links followed. Throws: Io as resolve_target().
  explicit PartialFolder(const std::filesystem::path& target);
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  // Where the output itself is built.
  std::filesystem::path output() const { return path_ / "output"; }

  // Makes the folder if it is not there, and locks it until remove() or the end of this object. Once is enough.
  // Throws: Io, also if another process has it.
  void open();
  // Removes the folder with all that is in it. Throws: Io.
  void remove();
  // Removes what a process has left that ended when the output had its name already: a folder with nothing but a
  // journal. Throws: Io, also if another process has it.
  void remove_if_published();

 private:
  bool lock();
  bool holds_journal_only() const;

  std::filesystem::path target_;
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace mq::io
