// One array as NumPy stores it: the content of a .npy file and of the records of an .npz archive.
//
//   Layout: "\x93NUMPY", u8 major, u8 minor, header bytes (u16; u32 from version 2 on), header text, elements
#pragma once

#include <memory>
#include <span>
#include <string>

#include "formats/blob_checkpoint.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

// Whether content that begins with these bytes is an array.
bool begins_npy(std::span<const std::byte> first_bytes) noexcept;
inline constexpr std::size_t kNpyMagicBytes = 6;

// Reads the header of the array that fills the blob and adds it to the contents as the tensor `name`. The blob outlives
// the contents. `source` is how errors call it: "weights.npz: fc.weight.npy".
// Throws: Io; Corrupt (a header that is not what NumPy writes, elements that do not fill the rest of the blob exactly);
// Unsupported (other versions, and dtypes that are no numbers, by name); Limit.
void add_npy_array(BlobContents& contents, std::string name, const Blob& blob, const std::string& source,
                   const Limits& limits);

}  // namespace mq::formats
