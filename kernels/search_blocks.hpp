// Blocks as a search reads them: a block to a lane, or one long block in all lanes, a chunk at a time.
#pragma once

#include "kernels/search_lanes.hpp"

namespace mq::kernels {

// Up to kWidth blocks, or with kLong one, whose element i is in sum i % kSums. Sums of it are formed part by part, as
// many of them at a time as there are lanes.
template <class Ops, bool kWeighted, bool kLong>
class LoadedBlocks {
 public:
  using Floats = typename Ops::Floats;
  static constexpr std::size_t kWidth = Ops::kWidth;
  static constexpr std::size_t kSums = 16;
  static constexpr std::size_t kParts = kLong ? kSums / kWidth : 1;

  explicit LoadedBlocks(const SearchBlocks& blocks) : run_(blocks.run) {
    for (std::size_t lane = 0; lane < kWidth; ++lane) {
      const std::size_t block = block_of_lane(lane, blocks.rows);
      x_[lane] = blocks.x + block * run_;
      if constexpr (kWeighted) weights_[lane] = blocks.weights + block * run_;
    }
  }

  std::size_t run() const { return run_; }

  // What elements are multiplied by when they are loaded.
  void set_factor(Floats factor) { factor_ = factor; }

  // Calls f(x, weights, count) for the chunks of a part: count vectors each.
  template <class F>
  void for_each_chunk(std::size_t part, F&& f) {
    const std::size_t numel = kLong ? (run_ + kSums - 1) / kSums : run_;
    for (std::size_t begin = 0; begin < numel; begin += kChunk) {
      const std::size_t count = numel - begin < kChunk ? numel - begin : kChunk;
      load(part, begin, count);
      f(x_chunk_, w_chunk_, count);
    }
  }

  // The sums of whole blocks from those of the lanes of each part.
  static Floats joined(const Floats (&sums)[kParts]) {
    if constexpr (!kLong) return sums[0];
    float all[kSums];
    for (std::size_t part = 0; part < kParts; ++part) Ops::store(sums[part], all + part * kWidth);
    for (std::size_t half = kSums / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) all[i] += all[i + half];
    }
    return Floats(all[0]);
  }

 private:
  static constexpr std::size_t kChunk = 128;  // elements of each lane that are at hand at a time

  void load_lanes(const float* const (&lanes)[kWidth], std::size_t part, std::size_t begin, std::size_t count,
                  float* chunk) const {
    if constexpr (kLong) {
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t first = (begin + i) * kSums + part * kWidth;
        if (first + kWidth <= run_) {
          Ops::store(Ops::load(lanes[0] + first), chunk + i * kWidth);
          continue;
        }
        for (std::size_t lane = 0; lane < kWidth; ++lane) {
          chunk[i * kWidth + lane] = first + lane < run_ ? lanes[0][first + lane] : 0.0f;
        }
      }
    } else {
      const float* from[kWidth];
      for (std::size_t lane = 0; lane < kWidth; ++lane) from[lane] = lanes[lane] + begin;
      Ops::load_blocks(from, count, chunk);
    }
  }

  // Brings elements [begin, begin + count) of each lane to hand.
  void load(std::size_t part, std::size_t begin, std::size_t count) {
    if (!kLong && loaded_ == begin) return;
    loaded_ = begin;
    load_lanes(x_, part, begin, count, x_chunk_);
    if constexpr (kWeighted) load_lanes(weights_, part, begin, count, w_chunk_);
    for (std::size_t i = 0; i < count * kWidth; i += kWidth) {
      Ops::store(finite_or_zero<Ops>(Ops::load(x_chunk_ + i)) * factor_, x_chunk_ + i);
    }
  }

  std::size_t run_;
  const float* x_[kWidth];
  const float* weights_[kWidth];
  Floats factor_;
  std::size_t loaded_ = ~std::size_t{0};  // first element at hand
  alignas(64) float x_chunk_[kChunk * kWidth];
  alignas(64) float w_chunk_[kWeighted ? kChunk * kWidth : 1];
};

}  // namespace mq::kernels
