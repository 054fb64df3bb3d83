// How a step of a plan is encoded and cut into tiles: what its run does and what its memory is counted by. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "mq/plan.hpp"
#include "src/dialects/dialect.hpp"
#include "src/tile_grid.hpp"

namespace mq {

struct StepTiling {
  TileGrid grid;                           // of the tensor as it is stored
  std::int64_t item_bytes = 1;             // of an element of the grid
  std::int64_t tiles_at_once = 1;          // that follow each other and are written together
  bool transposed = false;                 // tiles are seen as their transposes
  bool observes = false;                   // there is a pass before the one that encodes
  bool given_range = false;                // parameters follow from Step::range
  DialectRequest request = {};             // Encode
  std::vector<StoredOutput> outputs = {};  // Encode: in the order of Step::outputs
};

// Whether the step meets the rows of the matrix that it encodes in pieces: they are columns of the file, or too long.
bool reads_cut_rows(const Step& step, const LogicalTensor& tensor, const MatrixShape& matrix,
                    std::span<const StoredOutput> outputs);

// Of a step that is not dropped.
StepTiling tile_step(const Plan& plan, const Step& step);

}  // namespace mq
