// Programs that torch.export has saved (.pt2), read only: parameters, buffers and constants by their original names.
// The graph is not looked at. Two layouts exist:
// - a PyTorch archive whose records data/weights/* and data/constants/* are raw storages, with a list of the tensors in
//   JSON (since PyTorch 2.8), or whole torch.save files (some versions before that);
// - a plain zip that holds a torch.save file for the state dict and one for the constants (up to PyTorch 2.7).
// Source: pytorch/pytorch, torch/export/pt2_archive/_package.py, torch/_export/serde/serialize.py.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "formats/torch_archive.hpp"
#include "formats/torch_object.hpp"
#include "formats/torch_payload.hpp"
#include "formats/zip_format.hpp"

namespace mq::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgram = "serialized_exported_program.json";
constexpr std::string_view kSavedPickle = "data.pkl";

// A torch.save file inside the archive.
struct Inner {
  explicit Inner(ZipArchive zip) : archive(std::move(zip)), storages(archive, "data/") {}

  torch::Archive archive;
  torch::RecordBacking storages;
};

struct Owner {
  std::unique_ptr<ZipArchive> plain;        // of the old layout
  std::unique_ptr<torch::Archive> archive;  // of the new one
  std::vector<std::unique_ptr<Inner>> inner;
  torch::PayloadBlobs payloads;
};

class ExportReader {
 public:
  explicit ExportReader(const OpenOptions& options) : options_(options), owner_(std::make_shared<Owner>()) {
    contents_.listing = options.contents;
  }

  BlobContents read_old(ZipArchive zip) {
    owner_->plain = std::make_unique<ZipArchive>(std::move(zip));
    const ZipArchive& outer = *owner_->plain;
    for (const std::string_view part : {"serialized_state_dict", "serialized_constants"}) {
      const ZipRecord* record = nullptr;
      for (const std::string_view suffix : {".pt", ".json"}) {
        if (record == nullptr) record = outer.find(std::string(part).append(suffix));
      }
      if (record == nullptr) refuse_missing(outer, part);
      if (record->size_bytes > 0) add_saved(outer, *record, "", false);
    }
    return finish(outer.file());
  }

  BlobContents read_new(ZipArchive zip) {
    owner_->archive = std::make_unique<torch::Archive>(std::move(zip));
    const torch::Archive& archive = *owner_->archive;
    std::vector<std::string> models = list_models(archive);
    if (models.empty()) refuse_missing(archive.zip(), "models/*.json");
    if (!options_.root.empty() && options_.root != ".") {
      if (std::ranges::find(models, options_.root) == models.end()) refuse_root(archive, models);
      models = {options_.root};
    }
    for (const std::string& model : models) {
      const std::string prefix = models.size() == 1 ? "" : model + ".";
      for (const std::string_view part : {"weights", "constants"}) add_part(archive, model, part, prefix);
    }
    return finish(archive.zip().file());
  }

 private:
  BlobContents finish(const io::File& file) {
    contents_.owner = owner_;
    contents_.file = &file;
    number_ties(contents_);
    return std::move(contents_);
  }

  [[noreturn]] static void refuse_missing(const ZipArchive& archive, std::string_view record) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = "an exported program without a part of it",
                 .file = archive.file().path().string(),
                 .expected = "record " + std::string(record)});
  }

  [[noreturn]] void refuse_root(const torch::Archive& archive, const std::vector<std::string>& models) const {
    std::string names;
    for (const std::string& model : models) names += (names.empty() ? "" : ", ") + printable(model);
    throw Error({.code = ErrorCode::Usage,
                 .message = "the archive has no model of this name",
                 .file = archive.zip().file().path().string(),
                 .expected = std::move(names),
                 .found = options_.root});
  }

  static std::vector<std::string> list_models(const torch::Archive& archive) {
    const std::string folder = std::string(root_folder(archive.zip())) + "models/";
    constexpr std::string_view kSuffix = ".json";
    std::vector<std::string> models;
    for (const ZipRecord& record : archive.zip().records()) {
      if (!record.name.starts_with(folder) || !record.name.ends_with(kSuffix)) continue;
      models.push_back(record.name.substr(folder.size(), record.name.size() - folder.size() - kSuffix.size()));
    }
    return models;
  }

  // Raw storages with a list, or one torch.save file.
  void add_part(const torch::Archive& archive, const std::string& model, std::string_view part,
                const std::string& prefix) {
    const std::string folder = "data/" + std::string(part) + "/";
    const std::string list = folder + model + "_" + std::string(part) + "_config.json";
    if (archive.find(list) != nullptr) {
      for (torch::Payload& payload : torch::read_payloads(archive, list, folder, options_.limits)) {
        add_payload(archive, payload, prefix);
      }
    } else if (const ZipRecord* record = archive.find(folder + model + ".pt")) {
      add_saved(archive.zip(), *record, prefix, false);
    } else if (part == "weights") {
      refuse_missing(archive.zip(), list);
    }
  }

  void add_payload(const torch::Archive& archive, torch::Payload& payload, const std::string& prefix) {
    if (payload.pickled) return add_saved(archive.zip(), *payload.record, prefix + payload.name, true);
    if (!payload.is_tensor) {
      contents_.left_out.push_back({.what = printable(payload.name) + " (an object)",
                                    .size_bytes = static_cast<std::int64_t>(payload.record->size_bytes)});
      return;
    }
    const Blob& blob = owner_->payloads.blob(archive, *payload.record);
    contents_.tensors.push_back({.name = prefix + payload.name, .dtype = payload.dtype, .shape = payload.view.shape});
    contents_.places.push_back(place_of(blob, std::move(payload.view)));
    contents_.places.back().big_endian = archive.big_endian();
  }

  // The tensors of a torch.save file inside the archive: a dict, or a single one that is called name.
  void add_saved(const ZipArchive& outer, const ZipRecord& record, const std::string& name, bool single) {
    if (record.method != ZipRecord::Method::Stored) {
      throw Error({.code = ErrorCode::Unsupported,
                   .message = "a compressed archive inside the archive is not read",
                   .file = outer.where(record),
                   .expected = "a stored record"});
    }
    ZipArchive zip(outer.file().part(record.data_offset, record.size_bytes, record.name), options_.limits,
                   options_.verify_checksums);
    Inner& inner = *owner_->inner.emplace_back(std::make_unique<Inner>(std::move(zip)));
    const ZipRecord* pickle = inner.archive.find(kSavedPickle);
    if (pickle == nullptr) refuse_missing(inner.archive.zip(), kSavedPickle);
    torch::SavedObject object(inner.archive.zip().read_text(*pickle, options_.limits.header_bytes),
                              inner.archive.source(kSavedPickle), options_);
    if (!object.holds_tensors()) return;
    const std::size_t first = contents_.tensors.size();
    torch::add_object(object, inner.storages, ".", single ? name + "." : name, contents_);
    if (single && contents_.tensors.size() == first + 1 && contents_.tensors[first].name == name + ".tensor") {
      contents_.tensors[first].name = name;
    }
  }

  const OpenOptions& options_;
  std::shared_ptr<Owner> owner_;
  BlobContents contents_;
};

bool matches(const ZipArchive& archive) {
  return archive.find(kProgram) != nullptr || find_in_root(archive, "archive_format") != nullptr;
}

std::unique_ptr<Checkpoint> open(const fs::path& path, ZipArchive zip, const OpenOptions& options) {
  ExportReader reader(options);
  const bool old = zip.find(kProgram) != nullptr;
  BlobContents contents = old ? reader.read_old(std::move(zip)) : reader.read_new(std::move(zip));
  return make_blob_checkpoint(kTorchExport.name, path, std::move(contents));
}

}  // namespace

const ZipFormat kTorchExport{
    .name = "torch_export", .title = "torch.export program (.pt2)", .matches = matches, .open = open};

}  // namespace mq::formats
