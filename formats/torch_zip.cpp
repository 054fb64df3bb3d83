// Checkpoints as torch.save has written them since PyTorch 1.6; torch_save.cpp writes them.
//
// Names of tensors are their paths in the saved object below the chosen part (formats/torch_select.hpp); an object that
// is one tensor calls it "tensor". Bytes are delivered little-endian and row-major, whatever the file's byte order and
// the tensor's strides are.
#include <utility>

#include "formats/torch_archive.hpp"
#include "formats/torch_layout.hpp"
#include "formats/torch_object.hpp"
#include "formats/zip_format.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

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

// What the writer of this library has put beside the tensors.
void read_metadata(const torch::Archive& archive, const Limits& limits, BlobContents& contents) {
  const ZipRecord* const record = archive.find(kTorchMetadata);
  if (record == nullptr) return;
  const std::string source = archive.source(kTorchMetadata);
  const json::Value value = json::parse(archive.zip().read_text(*record, limits.header_bytes), source);
  const json::Object* const members = value.as_object();
  const auto fail = [&](std::string found) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "metadata of a checkpoint",
                 .file = source,
                 .expected = "an object of texts",
                 .found = std::move(found)});
  };
  if (members == nullptr) fail("another value");
  for (const auto& [key, text] : *members) {
    if (text.as_string() == nullptr) fail(printable(key));
    contents.metadata.emplace_back(key, *text.as_string());
  }
}

std::unique_ptr<Checkpoint> open(const fs::path& path, ZipArchive zip, const OpenOptions& options) {
  const auto owner = std::make_shared<Owner>(std::move(zip));
  const torch::Archive& archive = owner->archive;
  std::string bytes = archive.zip().read_text(*archive.find(kPickle), options.limits.header_bytes);
  torch::SavedObject object(std::move(bytes), archive.source(kPickle), options);
  BlobContents contents{.listing = options.contents, .owner = owner, .file = &archive.zip().file()};
  torch::add_object(object, owner->storages, options.root, "", contents);
  read_metadata(archive, options.limits, contents);
  number_ties(contents);
  return make_blob_checkpoint(kTorchSave.name, path, std::move(contents));
}

}  // namespace

const ZipFormat kTorchSave{.name = "torch_zip", .title = "PyTorch checkpoint", .matches = matches, .open = open};

}  // namespace mq::formats
