// Reads deflated data of a file from its beginning on, or from wherever a cursor was copied. Only inflate.cpp knows the
// library behind it; a build without that library has inflate_none.cpp instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "formats/io/file.hpp"

namespace mq::formats {

// Where deflated data lies in a file and how much it must become. Borrows what it refers to.
struct DeflatedRange {
  const io::File& file;
  std::string_view name;           // what errors call it: the record of an archive
  std::uint64_t offset = 0;        // in the file
  std::uint64_t stored_bytes = 0;  // as it lies there
  std::uint64_t size_bytes = 0;    // of the content
};

// Whether this build can inflate.
bool can_inflate() noexcept;

// A position in the content of one range, which every call names again. A cursor that has thrown is of no further use.
// Holds 40 KiB, and an input buffer of 32 KiB once it has read.
class InflateCursor {
 public:
  // At the first byte. Throws: Unsupported if this build cannot inflate.
  explicit InflateCursor(const DeflatedRange& range);
  InflateCursor(InflateCursor&& other) noexcept;
  InflateCursor& operator=(InflateCursor&& other) noexcept;
  ~InflateCursor();

  // A second cursor at the same place, without the input buffer.
  InflateCursor copy() const;

  std::uint64_t position() const noexcept;  // in the content

  // Fills out with the content from the position on and moves behind it; position + out.size() <= size_bytes. Whoever
  // arrives at the end of the content also checks that the deflated data ends there and fills its range.
  // Throws: Io; Corrupt with the offset for data that is damaged, too short or too long.
  void read(const DeflatedRange& range, std::span<std::byte> out);
  // The same without the content.
  void skip(const DeflatedRange& range, std::uint64_t size_bytes);

 private:
  struct State;
  explicit InflateCursor(std::unique_ptr<State> state) noexcept;

  std::unique_ptr<State> state_;
};

}  // namespace mq::formats
