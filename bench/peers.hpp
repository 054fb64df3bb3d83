// Products of other libraries, for rows beside ours in the same run: those that this machine has (tools/setup.sh
// --with-peers). Their weights are in the order that they ask for before the clock starts.
//
//   onednn    unsigned activations and signed weights of 8 bits, int32 sums, float results with a scale per column;
//             activations are codes already, where our rows quantize them too
//   openblas, eigen   float32 weights, against which ours of 8 and 4 bits with float activations are held
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mq::bench {

struct PeerShape {
  std::int64_t m, n, k;
  int threads;
  std::size_t copies;  // of the weights
};

class PeerProduct {
 public:
  virtual ~PeerProduct() = default;
  // The product with a copy of the weights.
  virtual void run(std::size_t copy) = 0;
  // y[0][0] of the last run, and what it ought to be.
  virtual double first() const = 0;
  virtual double expected() const = 0;
};

struct Peer {
  const char* name;
  bool integers;             // else floats
  std::size_t weight_bytes;  // of one weight
  std::unique_ptr<PeerProduct> (*make)(const PeerShape& shape);
};
std::span<const Peer> peers();

}  // namespace mq::bench
