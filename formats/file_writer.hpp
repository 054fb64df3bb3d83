// A checkpoint that is one file: a header, then the tensors, each at its place. The texts that go with it lie beside
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

// What of a file follows from the data of its tensors.
class FileEnding {
 public:
  virtual ~FileEnding() = default;

  // Bytes of tensor index from first_byte on, which were written to the file. Each byte once, in any order, from any
  // thread; of a run that is resumed, none of the tensors that are kept.
  virtual void take(std::size_t index, std::uint64_t first_byte, std::span<const std::byte> bytes) = 0;
  // Called once, when all bytes are there. Throws: Io.
  virtual void write(const io::File& file) = 0;
};

// Where everything lies in a file that is about to be written. What is neither header nor tensor nor written by the
// ending is zeros.
struct FileLayout {
  std::string header = {};                  // the bytes before the data; where a tensor lies in it, that is not written
  std::vector<std::uint64_t> offsets = {};  // in the file, of the tensors in their order
  std::uint64_t size_bytes = 0;             // of the whole file
  std::unique_ptr<FileEnding> ending = {};  // may be null
};

// `path` names the file in errors. Throws: as CheckpointWriter::begin.
using LayOut = FileLayout (*)(const Layout& layout, const std::filesystem::path& path);

std::unique_ptr<CheckpointWriter> make_file_writer(const std::filesystem::path& path, const CreateOptions& options,
                                                   LayOut lay_out);

// Of the file and its texts: what size_bytes() of such a writer says after begin.
std::int64_t file_bytes(const Layout& layout, LayOut lay_out);

}  // namespace mq::formats
