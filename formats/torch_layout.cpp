#include "formats/torch_layout.hpp"

#include <utility>

#include "formats/torch_ending.hpp"
#include "formats/torch_state_dict.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"
#include "src/utf8.hpp"

namespace mq::formats {
namespace {

std::string metadata_text(const Metadata& metadata, const std::filesystem::path& path) {
  json::Object members;
  for (const auto& [key, value] : metadata) {
    const std::string* const text = std::get_if<std::string>(&value);
    const bool fits = text != nullptr && utf8_valid_bytes(key) == key.size() && utf8_valid_bytes(*text) == text->size();
    if (!fits) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "metadata of a PyTorch checkpoint is text",
                   .file = path.string(),
                   .found = printable(key)});
    }
    members.emplace_back(key, *text);
  }
  return json::dump(json::Value(std::move(members)), -1);
}

}  // namespace

FileLayout lay_out_torch(const Layout& layout, const std::filesystem::path& path) {
  torch::StateDict dict = torch::make_state_dict(layout, path);
  FileLayout result;
  std::vector<torch::KnownRecord> known;
  const auto add = [&](std::string_view name, std::string content) {
    torch::KnownRecord record = torch::make_record(result.header.size(), name, std::move(content));
    torch::append_record(result.header, record);
    std::string().swap(record.content);  // of a million tensors: as large as all that is kept of them
    known.push_back(std::move(record));
  };
  add("data.pkl", std::move(dict.pickle));
  if (!layout.metadata.empty()) add(kTorchMetadata, metadata_text(layout.metadata, path));
  add(".format_version", "1");
  add(".storage_alignment", "64");
  add("byteorder", "little");
  auto ending = std::make_unique<torch::Ending>(std::move(dict), std::move(known), result.header.size());
  result.offsets = ending->offsets();
  result.size_bytes = ending->file_bytes();
  result.ending = std::move(ending);
  return result;
}

}  // namespace mq::formats
