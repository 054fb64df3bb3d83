// One product: activations packed into tiles, then panels of weights times tiles, on the workers of an executor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/matmul_table.hpp"
#include "mq/executor.hpp"
#include "src/carver.hpp"
#include "src/matmul_activations.hpp"
#include "src/packed_weights.hpp"
#include "src/quantized_rows.hpp"

namespace mq::detail {

class MatmulRun {
 public:
  // The operands must outlive the object. kept: the rows of weights that are not packed, or null.
  MatmulRun(const kernels::MatmulTable& table, const PackedImage& weights, const QuantizedRows* kept,
            const ActivationReader& activations, std::span<const float> bias, std::int64_t rows, int workers);

  // Rows that are multiplied at a time, and the memory that takes.
  static constexpr std::int64_t kBandRows = 1024;
  std::size_t workspace_bytes(std::int64_t rows) const;

  // Rows [first, first + rows) of the activations; y is their result.
  void run_band(std::int64_t first, std::int64_t rows, std::span<std::byte> workspace, float* y, Executor& executor);

 private:
  struct Band;
  struct Worker;
  // A group of panels and the tiles that it is multiplied with.
  struct Piece {
    std::size_t group, first_tile, tiles;
    std::size_t next_group;  // what is likely to be read next
  };

  Band carve_band(Carver& memory, std::int64_t rows) const;
  Worker carve_worker(Carver& memory) const;
  std::size_t worker_bytes() const;

  void pack_tile(const Band& band, std::size_t tile, const Worker& worker) const;
  void multiply(const Band& band, const Piece& piece, const Worker& worker) const;
  void multiply_integers(const Band& band, const Piece& piece, const Worker& worker) const;
  void multiply_floats(const Band& band, const Piece& piece, const Worker& worker) const;
  void multiply_coded(const Band& band, const Piece& piece) const;
  kernels::ProductShape shape_of(const Band& band, std::size_t tile, std::size_t panel, std::size_t panels) const;
  // A panel as floats.
  void decode_panel(std::size_t panel, const Worker& worker, float* out) const;

  std::size_t groups() const { return (sizes_.panels + group_panels_ - 1) / group_panels_; }
  std::size_t panel_numel() const { return sizes_.octets * kernels::kOctet * kernels::kPanelColumns; }

  const kernels::MatmulTable& table_;
  const PackedImage& weights_;
  const QuantizedRows* kept_;
  const ActivationReader& activations_;
  std::span<const float> bias_;
  std::size_t workers_;
  bool integers_;             // exact sums of products of codes
  bool coded_;                // sums of floats that codes become in registers: for what one tile reads
  PackedSizes sizes_;         // of weights that are kept: what their floats would have
  std::size_t block_;         // elements of k
  std::size_t group_panels_;  // panels in a piece of work
};

}  // namespace mq::detail
