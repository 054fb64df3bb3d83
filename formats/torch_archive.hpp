// The zip archive that torch.save writes: which records make it one, and which make it another kind of archive.
//
// Immutable once opened; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "formats/zip.hpp"

namespace mq::formats::torch {

class Archive {
 public:
  // Throws: as ZipArchive; Unsupported, naming the kind, for archives of TorchScript, torch.export, torch.package,
  // NumPy and others; Corrupt for records that contradict each other.
  Archive(io::File file, const Limits& limits);

  const ZipArchive& zip() const noexcept { return zip_; }
  bool big_endian() const noexcept { return big_endian_; }

  // The pickle that describes the saved object. Throws: as ZipArchive::read_text.
  std::string read_pickle() const;
  // How errors name it: "model.pt: data.pkl".
  std::string pickle_source() const;

  // The record with the bytes of a storage, or null.
  const ZipRecord* storage(std::string_view key) const;

 private:
  const ZipRecord* find(std::string_view name) const;
  std::string read_small(std::string_view name) const;
  void require_torch_save() const;
  void require_version() const;
  void read_byte_order();
  [[noreturn]] void refuse(std::string_view kind, std::string_view hint) const;

  ZipArchive zip_;
  Limits limits_;
  std::string prefix_;  // of all names: "model/"
  bool big_endian_ = false;
};

}  // namespace mq::formats::torch
