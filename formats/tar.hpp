// The members of a tar archive, by name: plain files of POSIX ustar and of the older form. Nothing is unpacked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/io/file.hpp"
#include "mq/limits.hpp"

namespace mq::formats {

struct TarMember {
  std::string name;
  std::uint64_t offset = 0;  // of the content in the file
  std::uint64_t size_bytes = 0;
};

// Whether the file begins with the header of a member.
bool looks_like_tar(const io::File& file);

// Every plain file of the archive, in order; folders, links and headers that only describe others are passed over.
// Throws: Corrupt (a header with a wrong checksum, a member that reaches beyond the end, a name twice), Limit, Io.
std::vector<TarMember> read_tar(const io::File& file, const Limits& limits);

}  // namespace mq::formats
