#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/meter.hpp"
#include "bench/rows.hpp"
#include "mq/quantize.hpp"
#include "src/active_table.hpp"

namespace mq::bench {
namespace {

const Shape kShape{32, 4096};

// Sums of twelve uniform numbers: normal enough to search in.
std::vector<float> make_weights() {
  std::uint64_t state = 1;
  std::vector<float> weights(static_cast<std::size_t>(numel(kShape)));
  for (float& weight : weights) {
    float sum = -6;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<float>(state >> 40) * 0x1p-24f;
    }
    weight = sum * 0.02f;
  }
  return weights;
}

void run(benchmark::State& state, const QuantSpec& spec, Effort effort) {
  static const std::vector<float> weights = make_weights();
  const TensorView view{DType::Float32, kShape, std::as_bytes(std::span(weights))};
  LoopMeter meter;
  for (auto _ : state) benchmark::DoNotOptimize(quantize(view, spec, {.effort = effort}).parts().data());
  meter.seconds_per_pass(state);
  const auto done = static_cast<double>(state.iterations()) * static_cast<double>(weights.size());
  state.SetBytesProcessed(static_cast<std::int64_t>(4 * done));
  state.counters["weights_per_second"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
}

}  // namespace

void register_encodings(const Options& options) {
  const std::string isa = active_table().name;
  if (options.cold || !options.wants(isa)) return;
  for (const char* name : {"int4:g128:signed",
                           "int4:g128:full",
                           "int4:g32:signed",
                           "int4:g128:asym",
                           "int4:g32:asym",
                           "int8:g32",
                           "nf4",
                           "nf4:signed",
                           "fp4",
                           "mxfp4",
                           "nvfp4",
                           "mxfp8",
                           "hqq4",
                           "q2_k",
                           "q3_k",
                           "q4_k",
                           "q5_k",
                           "q6_k",
                           "q4_0",
                           "q4_1",
                           "q5_0",
                           "q5_1",
                           "q8_0",
                           "iq4_nl",
                           "iq4_xs"}) {
    for (const Effort effort : {Effort::Fast, Effort::Search, Effort::Max}) {
      const QuantSpec spec = parse_spec(name);
      const std::string row = std::string("encoding/") + name + "," + std::string(to_string(effort)) + "/l2/" + isa;
      benchmark::RegisterBenchmark(row.c_str(), [=](benchmark::State& state) { run(state, spec, effort); });
    }
  }
}

}  // namespace mq::bench
