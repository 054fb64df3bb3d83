// TorchScript archives (torch.jit.save), read only: the weights by the names of their attributes. The code in the
// archive is never parsed.
//
// The module is a tree of objects of classes below __torch__; constants that its code refers to lie in a tuple of their
// own and are called CONSTANTS.c0, CONSTANTS.c1, ... as the code calls them.
#include <algorithm>
#include <utility>

#include "formats/limits.hpp"
#include "formats/torch_archive.hpp"
#include "formats/torch_object.hpp"
#include "formats/zip_format.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kModule = "data.pkl";
constexpr std::string_view kConstants = "constants.pkl";

struct Owner {
  explicit Owner(ZipArchive zip)
      : archive(std::move(zip)), storages(archive, "data/"), constants(archive, "constants/") {}

  torch::Archive archive;
  torch::RecordBacking storages;
  torch::RecordBacking constants;
};

bool matches(const ZipArchive& archive) {
  return !root_folder(archive).empty() && find_in_root(archive, kConstants) != nullptr;
}

std::string read_pickle(const torch::Archive& archive, std::string_view name, const Limits& limits) {
  const ZipRecord* record = archive.find(name);
  if (record == nullptr) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "a TorchScript archive without a module",
                 .file = archive.zip().file().path().string(),
                 .expected = "record " + std::string(name)});
  }
  return archive.zip().read_text(*record, limits.header_bytes);
}

// Parts that are no weights: what was traced, blobs of the user, code for other interpreters.
void leave_out_records(const torch::Archive& archive, BlobContents& contents) {
  const std::string_view folder = root_folder(archive.zip());
  LeftOut traced{.what = "inputs of the trace"};
  for (const ZipRecord& record : archive.zip().records()) {
    const std::string_view name = std::string_view(record.name).substr(folder.size());
    if (name.starts_with("extra/") && contents.left_out.size() < kMaxLeftOut) {
      contents.left_out.push_back(
          {.what = "file " + printable(name), .size_bytes = static_cast<std::int64_t>(record.size_bytes)});
    }
    if (!name.starts_with("traced_inputs/")) continue;
    ++traced.tensors;
    traced.size_bytes += static_cast<std::int64_t>(record.size_bytes);
  }
  if (traced.tensors > 0) contents.left_out.push_back(std::move(traced));
}

std::unique_ptr<Checkpoint> open(const fs::path& path, ZipArchive zip, const OpenOptions& options) {
  const auto owner = std::make_shared<Owner>(std::move(zip));
  const torch::Archive& archive = owner->archive;
  BlobContents contents{.listing = options.contents, .owner = owner, .file = &archive.zip().file()};
  torch::SavedObject constants(read_pickle(archive, kConstants, options.limits), archive.source(kConstants), options);
  torch::SavedObject module(read_pickle(archive, kModule, options.limits), archive.source(kModule), options);
  const bool has_constants = constants.holds_tensors();
  if (module.holds_tensors() || !has_constants) {
    torch::add_object(module, owner->storages, options.root.empty() ? "." : options.root, "", contents);
  }
  if (has_constants && options.root.empty()) {
    torch::add_object(constants, owner->constants, ".", "CONSTANTS.c", contents);
  }
  leave_out_records(archive, contents);
  number_ties(contents);
  return make_blob_checkpoint(kTorchScript.name, path, std::move(contents));
}

}  // namespace

const ZipFormat kTorchScript{.name = "torch_script", .title = "TorchScript archive", .matches = matches, .open = open};

}  // namespace mq::formats
