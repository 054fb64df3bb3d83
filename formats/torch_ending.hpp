// What of a PyTorch checkpoint (torch_layout.hpp) is written when the data of all tensors is there: what depends on
// checksums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/file_writer.hpp"
#include "formats/torch_state_dict.hpp"
#include "formats/zip_layout.hpp"

namespace mq::formats::torch {

inline constexpr std::string_view kRoot = "archive/";  // of the names of all records

// A record whose content does not depend on tensors; of data.pkl the checksum does.
struct KnownRecord {
  std::string name;
  std::string content;
  zip::PlacedRecord place;
  std::uint32_t crc = 0;
};
KnownRecord make_record(std::uint64_t offset, std::string_view name, std::string content);
void append_record(std::string& out, const KnownRecord& record);

class Ending final : public FileEnding {
 public:
  // `known`: the records before the storages, data.pkl first; their content is not needed. `first_storage` is where the
  // first storage's local header begins.
  Ending(StateDict dict, std::vector<KnownRecord> known, std::uint64_t first_storage);

  // Of the tensors in the file, and the size of that.
  std::vector<std::uint64_t> offsets();
  std::uint64_t file_bytes();

  void take(std::size_t index, std::uint64_t first_byte, std::span<const std::byte> bytes) override;
  void write(const io::File& file) override;

 private:
  struct Storage {
    std::uint64_t size_bytes = 0;
    std::uint32_t crc = 0;    // the shares of what was taken so far; in the end the checksum
    std::uint32_t taken = 0;  // whether anything was
  };
  // Calls f(place, name, storage) for all in order; returns where the last one ends.
  template <class F>
  std::uint64_t for_each_storage(F&& f);
  static std::vector<KnownRecord> last_records(std::uint64_t offset, std::string id);
  std::uint32_t finish_pickle(const io::File& file) const;
  static void finish_storage(const io::File& file, const zip::PlacedRecord& record, const std::string& name,
                             Storage& storage);
  void write_tail(const io::File& file, std::uint64_t offset);
  std::string serialization_id() const;

  std::vector<StateDict::Place> places_;
  std::vector<std::uint64_t> floats_;
  std::vector<KnownRecord> known_;
  std::vector<Storage> storages_;
  std::uint64_t first_storage_;
};

std::span<const std::byte> bytes_of_text(std::string_view text);

}  // namespace mq::formats::torch
