// PyTorch checkpoints, written only: zip_formats.cpp reads them.
#include "formats/registry.hpp"
#include "formats/torch_layout.hpp"

namespace mq::formats {
namespace {

std::unique_ptr<CheckpointWriter> create(const std::filesystem::path& path, const CreateOptions& options) {
  return make_file_writer(path, options, lay_out_torch);
}

}  // namespace

const Format kTorch{.name = "torch_zip",
                    .title = "PyTorch checkpoint",
                    .suffix = ".pt",
                    .matches = nullptr,
                    .open = nullptr,
                    .create = create,
                    .size_bytes = [](const Layout& layout) { return file_bytes(layout, lay_out_torch); }};

}  // namespace mq::formats
