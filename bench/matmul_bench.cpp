#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/meter.hpp"
#include "bench/peak.hpp"
#include "bench/peers.hpp"
#include "bench/roofline.hpp"
#include "bench/rows.hpp"
#include "kernels/dispatch.hpp"
#include "mq/matmul.hpp"
#include "src/matmul_run.hpp"

namespace {

using mq::kernels::MatmulTable;

// Of weights that come from memory: more than caches hold.
constexpr std::size_t kColdBytes = std::size_t{320} << 20;

struct Product {
  std::int64_t m, n, k;
  bool cold;
  int threads = 1;

  std::string name() const {
    return "m" + std::to_string(m) + "-n" + std::to_string(n) + "-k" + std::to_string(k) + (cold ? "-cold" : "") +
           (threads > 1 ? "-t" + std::to_string(threads) : "");
  }
};

struct Encoding {
  const char* name;
  const char* spec;
  bool quantized;      // activations
  bool peers = false;  // whether others' products stand beside it
};

mq::Tensor random_tensor(std::int64_t rows, std::int64_t cols) {
  mq::Buffer bytes(static_cast<std::size_t>(rows * cols) * sizeof(float));
  std::mt19937 random(1);
  std::normal_distribution<float> value(0.0f, 1.0f);
  std::generate_n(bytes.as<float>(), rows * cols, [&] { return value(random); });
  return mq::Tensor(mq::DType::Float32, {rows, cols}, std::move(bytes));
}

// Packed once for all benches that use them.
const mq::PackedWeights& weights_of(const Encoding& encoding, const Product& shape) {
  static std::map<std::pair<std::string, std::int64_t>, std::unique_ptr<mq::PackedWeights>> all;
  auto& known = all[{encoding.spec, shape.n * 1000003 + shape.k}];
  if (known == nullptr) {
    const mq::Tensor weights = random_tensor(shape.n, shape.k);
    known = std::make_unique<mq::PackedWeights>(
        mq::pack_for_matmul(mq::quantize(weights.view(), mq::parse_spec(encoding.spec))));
  }
  return *known;
}

// Copies of weights that together do not fit a cache, or the weights themselves.
std::vector<mq::PackedWeights> copies_of(const mq::PackedWeights& weights, bool cold) {
  if (!cold) return {weights};
  std::vector<mq::PackedWeights> copies;
  for (std::size_t i = 0; i <= kColdBytes / weights.bytes().size(); ++i) {
    auto copy = std::make_shared<mq::Buffer>(weights.bytes().size());
    std::memcpy(copy->data(), weights.bytes().data(), copy->size());
    const std::span<const std::byte> bytes = copy->span();
    copies.push_back(mq::open_packed_weights(bytes, std::move(copy)));
  }
  return copies;
}

// product(i) multiplies with copy i of the weights.
void measure(benchmark::State& state, const Product& shape, bool integers, std::size_t weight_bytes, std::size_t copies,
             const std::function<void(std::size_t)>& product) {
  for (std::size_t i = 0; i < copies; ++i) product(i);
  const double operations = 2.0 * static_cast<double>(shape.m * shape.n * shape.k);
  const std::size_t bytes = weight_bytes / 1024 * 1024;
  const double peak = integers ? mq::bench::peak_dot_operations() : mq::bench::peak_float_operations();
  const std::size_t read_bytes = shape.cold ? std::size_t{256} << 20 : bytes;
  const double read_rate = static_cast<double>(read_bytes) / mq::bench::roof_seconds(read_bytes, 0);

  std::size_t next = 0;
  const auto started = std::chrono::steady_clock::now();
  mq::bench::LoopMeter meter;
  for (auto _ : state) {
    product(next++ % copies);
    benchmark::ClobberMemory();
  }
  double seconds = meter.seconds_per_pass(state);
  // Of several threads what the clock on the wall says.
  if (shape.threads > 1) {
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() /
              static_cast<double>(state.iterations());
  }
  // Weights and activations have to be read, results written.
  const auto moved =
      static_cast<double>(bytes + sizeof(float) * static_cast<std::size_t>(shape.m * (shape.k + shape.n)));
  state.counters["ops_per_byte"] = operations / moved;
  state.counters["GOP/s"] = operations / seconds * 1e-9;
  state.counters["pct_of_peak"] = 100 * operations / seconds / peak;
  state.counters["weight_GB/s"] = static_cast<double>(bytes) / seconds * 1e-9;
  state.counters["pct_of_read"] = 100 * static_cast<double>(bytes) / seconds / read_rate;
}

void run(benchmark::State& state, const MatmulTable& table, const Encoding& encoding, const Product& shape) {
  const std::vector<mq::PackedWeights> weights = copies_of(weights_of(encoding, shape), shape.cold);
  const mq::Tensor x = random_tensor(shape.m, shape.k);
  std::optional<mq::detail::ActivationQuantizer> quantizer;
  if (encoding.quantized) quantizer.emplace(mq::ActivationSpec{});
  const mq::detail::ActivationReader reader({x.view(), shape.m, shape.k}, quantizer ? &*quantizer : nullptr);
  std::vector<float> y(static_cast<std::size_t>(shape.m * shape.n));
  mq::MatmulWorkspace workspace;
  const std::unique_ptr<mq::Executor> executor = mq::make_thread_executor(shape.threads);
  measure(state, shape, encoding.quantized, weights[0].bytes().size(), weights.size(), [&](std::size_t copy) {
    mq::detail::MatmulRun whole(table, weights[copy].image(), nullptr, reader, {}, shape.m, shape.threads);
    const std::span<std::byte> memory = workspace.reserve(whole.workspace_bytes(shape.m));
    for (std::int64_t first = 0; first < shape.m; first += mq::detail::MatmulRun::kBandRows) {
      const std::int64_t rows = std::min(mq::detail::MatmulRun::kBandRows, shape.m - first);
      whole.run_band(first, rows, memory, y.data() + first * shape.n, *executor);
    }
  });
}

void run(benchmark::State& state, const mq::bench::Peer& peer, const Product& shape) {
  const std::size_t bytes = peer.weight_bytes * static_cast<std::size_t>(shape.n * shape.k);
  const std::size_t copies = shape.cold ? kColdBytes / bytes + 1 : 1;
  const auto product = peer.make({shape.m, shape.n, shape.k, shape.threads, copies});
  measure(state, shape, peer.integers, bytes, copies, [&](std::size_t copy) { product->run(copy); });
  product->run(0);
  const double expected = product->expected();
  if (std::fabs(product->first() - expected) > 1e-3 * std::fabs(expected) + 1) state.SkipWithError("wrong result");
}

// The usual ones, or those that were asked for.
std::vector<Product> shapes_of(const mq::bench::Options& options) {
  std::vector<Product> shapes = {{1, 4096, 4096, true},    {1, 4096, 4096, false},  {1, 1024, 2048, false},
                                 {8, 4096, 4096, false},   {32, 4096, 4096, false}, {512, 4096, 4096, false},
                                 {64, 11008, 4096, false}, {512, 16, 4096, false},  {512, 4096, 4096, false, 2}};
  if (!options.shapes.empty()) shapes.clear();
  for (const mq::bench::ProductShape& shape : options.shapes) shapes.push_back({shape.m, shape.n, shape.k, false});
  if (options.cold) {
    for (Product& shape : shapes) shape.cold = true;
    const auto name = [](const Product& shape) { return shape.name(); };
    std::ranges::stable_sort(shapes, {}, name);
    const auto same = [&](const Product& a, const Product& b) { return name(a) == name(b); };
    shapes.erase(std::unique(shapes.begin(), shapes.end(), same), shapes.end());
  }
  return shapes;
}

}  // namespace

void mq::bench::register_products(const Options& options) {
  static const std::vector<Encoding> kEncodings = {
      {"w8a8", "int8", true, true},       {"w4a8-g32", "int4:g32", true},
      {"w4a8-g128", "int4:g128", true},   {"w4a8-g32-asym", "int4:g32:asym", true},
      {"w8a16", "int8", false, true},     {"w4a16-g32", "int4:g32", false},
      {"w4a16-g128", "int4:g128", false}, {"e4m3", "fp8_e4m3", false},
  };
  for (const Encoding& encoding : kEncodings) {
    for (const Product& shape : shapes_of(options)) {
      for (const MatmulTable* table : mq::kernels::available_matmul_kernels()) {
        if (std::string_view(table->name) == "reference" || !options.wants(table->name)) continue;
        const std::string name = std::string("matmul/") + encoding.name + "/" + shape.name() + "/" + table->name;
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=](benchmark::State& state) { run(state, *table, encoding, shape); });
      }
      for (const Peer& peer : peers()) {
        if (!encoding.peers || peer.integers != encoding.quantized || !options.wants(peer.name)) continue;
        const std::string name = std::string("matmul/") + encoding.name + "/" + shape.name() + "/" + peer.name;
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, peer, shape); });
      }
    }
  }
}
