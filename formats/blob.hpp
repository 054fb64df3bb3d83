// Bytes that tensors are made of, wherever they lie: a record of an archive, a range of a file, memory.
//
// Immutable; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "formats/io/file.hpp"
#include "formats/record_checksums.hpp"
#include "formats/zip.hpp"

namespace mq::formats {

class Blob {
 public:
  virtual ~Blob() = default;

  virtual std::uint64_t size_bytes() const noexcept = 0;
  // Fills out from first on; the caller keeps first + out.size() <= size_bytes().
  // Throws: Io, Corrupt (the file ends before, a checksum that is found to be wrong).
  virtual void read(std::uint64_t first, std::span<std::byte> out) const = 0;
  // The same for pieces that are read in no order and more than once: they do not count for a checksum.
  virtual void read_scattered(std::uint64_t first, std::span<std::byte> out) const { read(first, out); }
  // Whether reading at a place costs the time of reading all that lies before it.
  virtual bool is_sequential() const noexcept { return false; }
  // Reads all of it if it has a checksum that was not verified yet.
  virtual void verify() const {}
};

// A record of a zip archive. Its checksum is verified as soon as all of it was read. All arguments are borrowed.
class RecordBlob final : public Blob {
 public:
  RecordBlob(const ZipArchive& archive, const ZipRecord& record, RecordChecksums& checksums)
      : archive_(archive), record_(record), checksums_(checksums) {}

  std::uint64_t size_bytes() const noexcept override { return record_.size_bytes; }
  void read(std::uint64_t first, std::span<std::byte> out) const override;
  void read_scattered(std::uint64_t first, std::span<std::byte> out) const override;
  bool is_sequential() const noexcept override { return record_.method == ZipRecord::Method::Deflated; }
  void verify() const override { checksums_.verify(record_); }

 private:
  const ZipArchive& archive_;
  const ZipRecord& record_;
  RecordChecksums& checksums_;
};

// A range of a file, which is borrowed. It lies inside the file.
class FileBlob final : public Blob {
 public:
  FileBlob(const io::File& file, std::uint64_t offset, std::uint64_t size_bytes)
      : file_(file), offset_(offset), size_bytes_(size_bytes) {}

  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }
  void read(std::uint64_t first, std::span<std::byte> out) const override { file_.read(offset_ + first, out); }

 private:
  const io::File& file_;
  std::uint64_t offset_;
  std::uint64_t size_bytes_;
};

// What was read already.
class MemoryBlob final : public Blob {
 public:
  explicit MemoryBlob(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  std::uint64_t size_bytes() const noexcept override { return bytes_.size(); }
  void read(std::uint64_t first, std::span<std::byte> out) const override;

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace mq::formats
