#include "formats/torch_sparse.hpp"

#include <array>
#include <limits>
#include <utility>

#include "formats/io/checked.hpp"

namespace mq::formats::torch {
namespace {

using pickle::Kind;

struct Layout {
  std::string_view name;
  SparseLayout layout;
  bool blocks;
};
constexpr std::array kLayouts{
    Layout{"torch.sparse_coo", SparseLayout::Coordinates, false},
    Layout{"torch.sparse_csr", SparseLayout::CompressedRows, false},
    Layout{"torch.sparse_csc", SparseLayout::CompressedColumns, false},
    Layout{"torch.sparse_bsr", SparseLayout::CompressedRows, true},
    Layout{"torch.sparse_bsc", SparseLayout::CompressedColumns, true},
};

class SparseReader {
 public:
  SparseReader(const Values& values, const TensorCall& call, std::string_view name, Storages& storages, bool big_endian)
      : values_(values),
        graph_(values.graph()),
        call_(call),
        name_(name),
        arguments_(values, call.node, name),
        storages_(storages),
        big_endian_(big_endian) {}

  SparseTensor read() {
    const auto args = graph_.items(call_.arguments);
    arguments_.require_count(args.size(), 2, 2);
    const Layout& layout = layout_of(args[0]);
    const auto data = arguments_.tuple(args[1], "data of a sparse tensor");
    parts_.layout = layout.layout;
    parts_.source = values_.source();
    parts_.tensor = name_;
    if (layout.layout == SparseLayout::Coordinates) {
      read_coordinates(data);
    } else {
      read_compressed(data, layout.blocks);
    }
    SparseTensor tensor{.dtype = parts_.dtype, .shape = parts_.shape, .elements = nullptr};
    tensor.elements = make_sparse_elements(std::move(parts_));
    return tensor;
  }

 private:
  // The text, or torch.serialization._get_layout(text).
  const Layout& layout_of(NodeId id) const {
    if (graph_.kind(id) == Kind::Object) {
      const auto args = graph_.items(graph_.object(id).args);
      if (args.size() == 1) id = args[0];
    }
    const std::string_view name = arguments_.text(id, "layout of a sparse tensor");
    for (const Layout& layout : kLayouts) {
      if (layout.name == name) return layout;
    }
    arguments_.fail(ErrorCode::Unsupported, "a sparse tensor of layout " + std::string(name) + " is not read");
  }

  DenseTensor part(NodeId id, const char* what) {
    const TensorCall call = tensor_call(values_, id);
    if (call.kind != TensorKind::Dense) arguments_.corrupt(std::string(what) + " of a sparse tensor of the wrong type");
    return dense_tensor(values_, call, name_);
  }

  SparsePart place(DenseTensor&& tensor) {
    SparsePart out{.place = {}, .dtype = tensor.dtype, .numel = numel(tensor.view.shape)};
    out.place = place_of(storages_.find(tensor.storage, call_.node, std::string(name_)), std::move(tensor.view));
    out.place.big_endian = big_endian_;
    out.place.conjugated = tensor.conjugated;
    out.place.negated = tensor.negated;
    return out;
  }

  SparsePart index_part(DenseTensor&& tensor, const char* what) {
    if (tensor.dtype != DType::Int64 && tensor.dtype != DType::Int32) {
      arguments_.corrupt(std::string(what) + " of a sparse tensor", "int64 or int32",
                         std::string(to_string(tensor.dtype)));
    }
    return place(std::move(tensor));
  }

  void require(std::string_view what, std::int64_t expected, std::int64_t found) const {
    if (expected == found) return;
    arguments_.corrupt(std::string(what) + " of a sparse tensor", std::to_string(expected), std::to_string(found));
  }

  void take_shape(NodeId id) {
    parts_.shape = arguments_.indices(id, "size");
    std::optional<std::uint64_t> size_bytes = static_cast<std::uint64_t>(info(parts_.dtype).block_bytes);
    for (const std::int64_t size : parts_.shape) {
      if (size_bytes) size_bytes = io::checked_multiply(*size_bytes, static_cast<std::uint64_t>(size));
    }
    if (!size_bytes || *size_bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      arguments_.fail(ErrorCode::Limit, "tensor of more than 2^63 - 1 bytes");
    }
  }

  // (indices [sparse dimensions, entries], values [entries, dense dimensions], size[, is_coalesced])
  void read_coordinates(std::span<const NodeId> data) {
    if (data.size() != 3 && data.size() != 4)
      arguments_.corrupt("data of a sparse tensor", "3", std::to_string(data.size()));
    if (data.size() == 4 && graph_.kind(data[3]) != Kind::None) arguments_.require_bool(data[3], "is_coalesced");
    DenseTensor indices = part(data[0], "indices");
    DenseTensor values = part(data[1], "values");
    parts_.dtype = values.dtype;
    take_shape(data[2]);
    const Shape& index_shape = indices.view.shape;
    const Shape& value_shape = values.view.shape;
    if (index_shape.size() != 2 || value_shape.empty())
      arguments_.corrupt("parts of a sparse tensor of the wrong rank");
    parts_.sparse_dims = index_shape[0];
    parts_.entries = index_shape[1];
    require("number of values", parts_.entries, value_shape[0]);
    require("number of dimensions", parts_.sparse_dims + static_cast<std::int64_t>(value_shape.size()) - 1,
            static_cast<std::int64_t>(parts_.shape.size()));
    require_dense(value_shape, 1, static_cast<std::size_t>(parts_.sparse_dims));
    parts_.indices = index_part(std::move(indices), "indices");
    parts_.values = place(std::move(values));
  }

  // (pointers, indices [entries], values [entries, (block), dense dimensions], size)
  void read_compressed(std::span<const NodeId> data, bool blocks) {
    require("data", 4, static_cast<std::int64_t>(data.size()));
    DenseTensor pointers = part(data[0], "pointers");
    DenseTensor indices = part(data[1], "indices");
    DenseTensor values = part(data[2], "values");
    parts_.dtype = values.dtype;
    take_shape(data[3]);
    const Shape& value_shape = values.view.shape;
    if (pointers.view.shape.size() > 1) {
      arguments_.fail(ErrorCode::Unsupported, "a batch of sparse tensors is not read");
    }
    const std::size_t first_dense = blocks ? 3 : 1;
    if (pointers.view.shape.empty() || indices.view.shape.size() != 1 || value_shape.size() < first_dense ||
        parts_.shape.size() < 2) {
      arguments_.corrupt("parts of a sparse tensor of the wrong rank");
    }
    parts_.entries = indices.view.shape[0];
    require("number of values", parts_.entries, value_shape[0]);
    require("number of dimensions", 2 + static_cast<std::int64_t>(value_shape.size() - first_dense),
            static_cast<std::int64_t>(parts_.shape.size()));
    require_dense(value_shape, first_dense, 2);
    if (blocks) take_blocks(value_shape[1], value_shape[2]);
    const bool rows = parts_.layout == SparseLayout::CompressedRows;
    const std::int64_t major = rows ? parts_.shape[0] / parts_.block_rows : parts_.shape[1] / parts_.block_cols;
    require("number of pointers", major + 1, pointers.view.shape[0]);
    parts_.pointers = index_part(std::move(pointers), "pointers");
    parts_.indices = index_part(std::move(indices), "indices");
    parts_.values = place(std::move(values));
  }

  void take_blocks(std::int64_t rows, std::int64_t cols) {
    if (rows < 1 || cols < 1 || parts_.shape[0] % rows != 0 || parts_.shape[1] % cols != 0) {
      arguments_.corrupt("blocks of a sparse tensor do not divide it",
                         std::to_string(parts_.shape[0]) + " by " + std::to_string(parts_.shape[1]),
                         std::to_string(rows) + " by " + std::to_string(cols));
    }
    parts_.block_rows = rows;
    parts_.block_cols = cols;
  }

  void require_dense(const Shape& values, std::size_t first, std::size_t first_of_shape) const {
    for (std::size_t i = 0; first + i < values.size(); ++i) {
      require("dense size", parts_.shape[first_of_shape + i], values[first + i]);
    }
  }

  const Values& values_;
  const pickle::Graph& graph_;
  const TensorCall& call_;
  std::string_view name_;
  Arguments arguments_;
  Storages& storages_;
  bool big_endian_;
  SparseParts parts_;
};

}  // namespace

SparseTensor sparse_tensor(const Values& values, const TensorCall& call, std::string_view name, Storages& storages,
                           bool big_endian) {
  return SparseReader(values, call, name, storages, big_endian).read();
}

}  // namespace mq::formats::torch
