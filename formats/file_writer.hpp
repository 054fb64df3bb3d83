// A checkpoint that is one file: a header, then the tensors, each at its place. The texts that go with it lie beside
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"

namespace mq::formats {

// Where everything lies in a file that is about to be written. What is neither header nor tensor is zeros.
struct FileLayout {
  std::string header;                  // the bytes before the data
  std::vector<std::uint64_t> offsets;  // in the file, of the tensors in their order
  std::uint64_t size_bytes = 0;        // of the whole file
};

// `path` names the file in errors. Throws: as CheckpointWriter::begin.
using LayOut = FileLayout (*)(const Layout& layout, const std::filesystem::path& path);

std::unique_ptr<CheckpointWriter> make_file_writer(const std::filesystem::path& path, const CreateOptions& options,
                                                   LayOut lay_out);

// Of the file and its texts: what size_bytes() of such a writer says after begin.
std::int64_t file_bytes(const Layout& layout, LayOut lay_out);

}  // namespace mq::formats
