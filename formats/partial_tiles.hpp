// The partial output of any writer that puts its tiles through a TileWriter.
#pragma once

#include <memory>

#include "formats/io/partial_folder.hpp"
#include "formats/tiles.hpp"
#include "mq/checkpoint.hpp"

namespace mq::formats {

class PartialTiles final : public PartialOutput {
 public:
  // `tiles` is borrowed. Throws: Io as io::PartialFolder.
  PartialTiles(const std::filesystem::path& target, bool overwrite, TileWriter& tiles)
      : folder_(target), tiles_(tiles) {
    if (!overwrite) folder_.remove_if_published();
  }

  const std::filesystem::path& open() override {
    folder_.open();
    return folder_.path();
  }
  void read(std::size_t index, std::int64_t first_byte, std::span<std::byte> out) const override {
    tiles_.read(index, first_byte, out);
  }
  void keep(std::size_t index) override { tiles_.keep(index); }
  void sync() override { tiles_.sync(); }

  io::PartialFolder& folder() noexcept { return folder_; }

 private:
  io::PartialFolder folder_;
  TileWriter& tiles_;
};

// Nothing unless CreateOptions::resume asks for it.
inline std::unique_ptr<PartialTiles> make_partial(const std::filesystem::path& target, const CreateOptions& options,
                                                  TileWriter& tiles) {
  return options.resume ? std::make_unique<PartialTiles>(target, options.overwrite, tiles) : nullptr;
}

}  // namespace mq::formats
