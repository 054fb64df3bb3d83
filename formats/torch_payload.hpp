// The lists of tensors in exported programs: JSON that says for each name which record holds its storage and which view
// of it the tensor is.
//
//   {"config": {NAME: {"path_name": RECORD, "use_pickle": BOOL, "tensor_meta": {"dtype", "sizes", "strides", ...}}}}
// Source: pytorch/pytorch, torch/export/pt2_archive/_package.py, torch/_export/serde/schema.py.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/blob_checkpoint.hpp"
#include "formats/torch_archive.hpp"

namespace mq::formats::torch {

struct Payload {
  std::string name;
  const ZipRecord* record = nullptr;
  bool pickled = false;    // the record is a torch.save file
  bool is_tensor = false;  // else the record is an object of another kind
  DType dtype = DType::Float32;
  StridedView view;
};

// In the order of the list. `list` is a record of the archive's folder, `folder` that of the records it names.
// Throws: Corrupt (naming the tensor: a record that is missing, a view that reaches outside it), Unsupported (a type or
// layout that is not read, a tensor without data), Limit.
std::vector<Payload> read_payloads(const Archive& archive, const std::string& list, const std::string& folder,
                                   const Limits& limits);

// The storages of payloads: several tensors may share one.
class PayloadBlobs {
 public:
  const Blob& blob(const Archive& archive, const ZipRecord& record);

 private:
  std::deque<RecordBlob> blobs_;
  std::unordered_map<const ZipRecord*, const Blob*> known_;
};

}  // namespace mq::formats::torch
