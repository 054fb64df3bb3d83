// One step of a plan while it runs: how its tensor is cut, what its tiles gave, how they are written.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "mq/convert.hpp"
#include "src/dialects/dialect.hpp"
#include "src/digest.hpp"
#include "src/matrix_reader.hpp"
#include "src/row_order.hpp"
#include "src/step_tiling.hpp"
#include "src/tile_grid.hpp"

namespace mq {

// What one worker needs for a tile; reused.
struct WorkerScratch {
  Scratch reader;
  std::vector<std::byte> bytes;
  std::vector<float> values;
  std::vector<float> decoded;
  std::vector<float> finite;  // the values, where some are not
  std::vector<float> weighed;
  std::vector<std::vector<std::byte>> parts;
  std::vector<std::span<std::byte>> spans;  // where the parts of the tiles go
  std::vector<std::byte> stored;            // a part as it is stored
};

class StepRun {
 public:
  // Reads what belongs to the whole tensor (scales of a quantized source). shared_range: of all values that share what
  // follows from the whole tensor, where those are more than its own.
  StepRun(const Checkpoint& checkpoint, const Plan& plan, const Step& step, CheckpointWriter& writer,
          bool weigh_errors = false, std::optional<Range> shared_range = {});

  const Step& step() const noexcept { return step_; }
  std::int64_t tiles() const noexcept { return grid_.count(); }
  std::int64_t tiles_at_once() const noexcept { return tiles_at_once_; }  // for one call of run(), at most
  std::int64_t tile_bytes(std::int64_t first, std::int64_t count) const noexcept;  // of input, for progress
  bool observes() const noexcept { return observes_; }

  // Memory of parts that are held until the last tile, and of the state of the encoding.
  std::int64_t held_bytes() const noexcept;

  // The phases: observe every tile (if observes()), settle once, run every tile, report once. Tiles in any order, from
  // any thread; those of one call follow each other and are written together.
  void observe(std::int64_t index, WorkerScratch& scratch);
  void settle();
  void run(std::int64_t first, std::int64_t count, WorkerScratch& scratch);
  // Throws: Numeric with the tensor's name and counts.
  StepReport report() const;

 private:
  void prepare_encode(StepTiling tiling, std::optional<Range> shared_range);
  void choose_path();
  void copy(const Tile& tile, std::int64_t index, WorkerScratch& scratch);
  void encode(std::int64_t first, std::int64_t count, WorkerScratch& scratch);
  // Of the tiles of `whole`, which are written together.
  void encode_tile(std::int64_t index, const Tile& whole, WorkerScratch& scratch);
  std::vector<std::span<std::byte>> spans_of(const Tile& band, const Tile& whole, const WorkerScratch& scratch) const;
  void encode_halves(const Tile& tile, std::int64_t index, PartSpans spans, WorkerScratch& scratch, ErrorStats& error);
  void repack(const Tile& tile, std::int64_t index, PartSpans spans, WorkerScratch& scratch);
  void encode_band(const Tile& band, const float* x, PartSpans spans, WorkerScratch& scratch, ErrorStats& error,
                   NonfiniteCounts& excluded);
  // Reads a stored tile and calls f(band, values) for the bands of the matrix that it is.
  template <class F>
  void for_each_band(const Tile& tile, std::int64_t index, WorkerScratch& scratch, bool digest, F&& f);
  bool is_held(const PartInfo& part) const noexcept;
  void write_held(std::vector<std::byte>& scratch);
  std::int64_t tile_row_bytes(const PartInfo& part, const Tile& tile) const;
  void take_digests(std::span<const std::byte> bytes, const Tile& stored, std::int64_t index);
  void write_part(std::size_t output, std::size_t part, const Tile& tile, std::span<const std::byte> data,
                  std::vector<std::byte>& scratch);
  // Rows of an output, which the step's transforms may put elsewhere.
  void write_rows(std::size_t index, std::int64_t first_row, std::int64_t rows, std::int64_t first_byte,
                  std::int64_t row_bytes, std::span<const std::byte> data);
  std::size_t part_of(const StoredOutput& output) const noexcept;  // parts_.size() for a constant
  void count(const EncodeCounts& counts) noexcept;
  void refuse_bad_values() const;
  Tile seen(const Tile& stored) const noexcept;

  const Checkpoint& checkpoint_;
  const Plan& plan_;
  const Step& step_;
  CheckpointWriter& writer_;
  LogicalTensor tensor_;
  DigestKind digest_kind_;

  RowOrder order_{0, 0};  // of the rows that are written
  bool transposed_ = false;
  bool flattens_ = false;  // what is encoded are the groups of the flattened tensor
  TileGrid grid_;          // of the tensor as it is stored
  std::int64_t tiles_at_once_ = 1;
  std::int64_t copied_item_bytes_ = 1;
  std::optional<MatrixReader> reader_;
  bool observes_ = false;
  bool measures_ = false;      // the encoder tells the error
  bool takes_halves_ = false;  // and takes 16-bit floats as they are stored
  DialectRequest asked_;
  CodecRequest request_;
  std::vector<PartInfo> parts_;
  std::vector<StoredOutput> outputs_;          // in the order of step_.outputs
  std::vector<PartLayout> layouts_;            // of outputs that hold a part
  std::vector<std::vector<std::byte>> whole_;  // of parts that are not tiled, and of small ones: held and written once
  std::vector<float> column_factors_;          // of values before errors are measured: roots of the weights; or none
  std::atomic<std::int64_t> tiles_left_ = 0;
  std::unique_ptr<CodecState> state_;

  std::vector<std::vector<ChunkDigest>> digests_;  // by tile
  std::vector<ErrorStats> errors_;                 // by tile
  std::vector<NonfiniteCounts> excluded_;          // by tile, if they are allowed
  std::atomic<std::int64_t> nonfinite_ = 0;
  std::atomic<std::int64_t> overflow_ = 0;
};

}  // namespace mq
