// The command line of mq-bench.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mq::bench {

// Of a product: m rows of activations, weights [n, k].
struct ProductShape {
  std::int64_t m = 0, n = 0, k = 0;

  bool operator==(const ProductShape&) const = default;
};

struct Options {
  bool help = false;
  std::vector<std::string> isas;     // names of kernel tables; empty: all that this machine can run
  std::vector<ProductShape> shapes;  // of the products, instead of the usual ones
  bool cold = false;                 // operands from memory only
  bool perf = false;                 // hardware counters beside the times
  std::optional<int> pin;            // to this processor
  std::string svg;                   // file of a roofline plot; empty: none
  std::vector<std::string> passed;   // for Google Benchmark

  bool wants(std::string_view isa) const;
};

// Throws: Usage naming the option; as open_checkpoint() for --shapes-from.
Options parse_options(std::span<const std::string> arguments);

std::string_view usage();

}  // namespace mq::bench
