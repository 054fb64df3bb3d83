// What the zip archives of PyTorch have in common: one folder with all records, a version, a byte order, and storages
// that are records.
//
// Immutable once opened; thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/blob.hpp"
#include "formats/torch_backing.hpp"
#include "formats/zip.hpp"

namespace mq::formats::torch {

class Archive {
 public:
  // Throws: as ZipArchive; Corrupt for records that contradict each other, Unsupported for a version that is not known.
  explicit Archive(ZipArchive zip);

  const ZipArchive& zip() const noexcept { return zip_; }
  RecordChecksums& checksums() const noexcept { return checksums_; }
  bool big_endian() const noexcept { return big_endian_; }

  // The record of that name in the folder, or null.
  const ZipRecord* find(std::string_view name) const;
  // "model.pt: data.pkl": how errors call a record of the folder.
  std::string source(std::string_view name) const;

 private:
  std::string read_small(std::string_view name) const;
  void require_version() const;
  void read_byte_order();

  ZipArchive zip_;
  mutable RecordChecksums checksums_;
  std::string prefix_;  // of all names: "model/"
  bool big_endian_ = false;
};

// Storages that are the records of a folder: "data/" + key.
class RecordBacking final : public Backing {
 public:
  // archive is borrowed.
  RecordBacking(const Archive& archive, std::string folder) : archive_(archive), folder_(std::move(folder)) {}

  const Blob* storage(std::string_view key) override;
  bool big_endian() const noexcept override { return archive_.big_endian(); }

 private:
  const Archive& archive_;
  std::string folder_;
  std::deque<RecordBlob> blobs_;
  std::unordered_map<std::string, const Blob*> known_;
};

}  // namespace mq::formats::torch
