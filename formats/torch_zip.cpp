// Checkpoints that torch.save has written since PyTorch 1.6, read only.
//
// Names of tensors are their paths in the saved object below the chosen part (formats/torch_select.hpp); an object that
// is one tensor calls it "tensor". Bytes are delivered little-endian and row-major, whatever the file's byte order and
// the tensor's strides are.
#include <utility>

#include "formats/torch_archive.hpp"
#include "formats/torch_object.hpp"
#include "formats/zip_format.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPickle = "data.pkl";

struct Owner {
  explicit Owner(ZipArchive zip) : archive(std::move(zip)), storages(archive, "data/") {}

  torch::Archive archive;
  torch::RecordBacking storages;
};

bool matches(const ZipArchive& archive) {
  return !root_folder(archive).empty() && find_in_root(archive, kPickle) != nullptr;
}

std::unique_ptr<Checkpoint> open(const fs::path& path, ZipArchive zip, const OpenOptions& options) {
  const auto owner = std::make_shared<Owner>(std::move(zip));
  const torch::Archive& archive = owner->archive;
  std::string bytes = archive.zip().read_text(*archive.find(kPickle), options.limits.header_bytes);
  torch::SavedObject object(std::move(bytes), archive.source(kPickle), options);
  BlobContents contents{.listing = options.contents, .owner = owner, .file = &archive.zip().file()};
  torch::add_object(object, owner->storages, options.root, "", contents);
  number_ties(contents);
  return make_blob_checkpoint(kTorchSave.name, path, std::move(contents));
}

}  // namespace

const ZipFormat kTorchSave{.name = "torch_zip", .title = "PyTorch checkpoint", .matches = matches, .open = open};

}  // namespace mq::formats
