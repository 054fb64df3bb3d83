// A PyTorch checkpoint that is about to be written: the archive that torch.save makes of a state_dict.
//
//   archive/data.pkl                 the state_dict (torch_state_dict.hpp)
//   archive/extra/metadata.json      Layout::metadata, an object of texts, if there is any; torch.load does not look
//   archive/.format_version          1
//   archive/.storage_alignment       64
//   archive/byteorder                little
//   archive/data/0, archive/data/1 … the storages
//   archive/version                  3
//   archive/.data/serialization_id   40 digits that follow from all names and checksums
//
// Checksums are known when all data is: each tile adds its share to that of its record, and what depends on them is
// written last.
#pragma once

#include "formats/file_writer.hpp"

namespace mq::formats {

inline constexpr std::string_view kTorchMetadata = "extra/metadata.json";

// Throws: Usage for what PyTorch cannot hold (torch_state_dict.hpp) and for metadata that is no UTF-8 text; Limit.
FileLayout lay_out_torch(const Layout& layout, const std::filesystem::path& path);

}  // namespace mq::formats
