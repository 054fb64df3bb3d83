// Where everything lies in a GGUF file (gguf_header.hpp) of version 3 that is about to be written.
#pragma once

#include "formats/file_writer.hpp"

namespace mq::formats {

// The key-values are Layout::values; general.alignment among them says how the data of tensors is aligned. Tensors lie
// in the order of the layout.
// Throws: Usage for what the format cannot hold: names of more than 63 bytes, more than four dimensions, types that
// ggml does not have, rows that are not whole blocks, a name or key twice.
FileLayout lay_out_gguf(const Layout& layout, const std::filesystem::path& path);

}  // namespace mq::formats
