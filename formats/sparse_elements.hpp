// A sparse tensor read as if it were dense: zeros, and runs of stored values between them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "formats/blob_checkpoint.hpp"

namespace mq::formats {

enum class SparseLayout : std::uint8_t {
  Coordinates,        // indices [dims, nnz]
  CompressedRows,     // pointers [rows + 1], indices [nnz] of columns
  CompressedColumns,  // pointers [columns + 1], indices [nnz] of rows
};

// A stored tensor among the parts.
struct SparsePart {
  Place place;
  DType dtype = DType::Int64;  // of pointers and indices: int64 or int32
  std::int64_t numel = 0;
};

struct SparseParts {
  SparseLayout layout = SparseLayout::Coordinates;
  Shape shape;                   // of the dense tensor
  DType dtype = DType::Float32;  // of its elements
  std::int64_t sparse_dims = 2;  // leading dimensions that are indexed; all that follow are dense
  std::int64_t block_rows = 1;   // of compressed layouts: every entry is a block
  std::int64_t block_cols = 1;
  std::int64_t entries = 0;
  SparsePart pointers;  // compressed layouts only
  SparsePart indices;
  SparsePart values;   // [entries, block_rows, block_cols, dense dimensions]
  std::string source;  // file and tensor, for errors
  std::string tensor;
};

// Entries of a sparse tensor: their places are held in memory once the tensor is read.
inline constexpr std::int64_t kMaxSparseEntries = std::int64_t{1} << 23;
// Their indices, of all dimensions, and the pointers of compressed layouts.
inline constexpr std::int64_t kMaxSparseIndices = 2 * kMaxSparseEntries;

// The caller has checked that the shapes fit each other. Indices are checked when the first element is read: Corrupt if
// one lies outside, or pointers do not rise from 0 to the number of entries. Entries of one place are added in their
// order, as torch does. Throws: Limit for more than the constants above.
std::shared_ptr<const ElementSource> make_sparse_elements(SparseParts parts);

}  // namespace mq::formats
