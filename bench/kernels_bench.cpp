#include <benchmark/benchmark.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/kernel_data.hpp"
#include "bench/meter.hpp"
#include "bench/roofline.hpp"
#include "bench/rows.hpp"
#include "kernels/dispatch.hpp"
#include "src/search.hpp"

namespace {

using mq::kernels::KernelTable;
using Data = mq::bench::KernelData;

struct Size {
  const char* name;
  std::size_t numel;  // 4 bytes each on the float side
};
constexpr Size kSizes[] = {{"l1", 4 << 10}, {"l2", 128 << 10}, {"dram", 16 << 20}};
constexpr std::size_t kRow = 4096;

Data& data_of(std::size_t numel) {
  static std::vector<std::pair<std::size_t, std::unique_ptr<Data>>> all;
  for (auto& [n, data] : all) {
    if (n == numel) return *data;
  }
  return *all.emplace_back(numel, std::make_unique<Data>(numel)).second;
}

// One pass over n elements; run is meaningless to some.
using Pass = std::function<void(const KernelTable&, Data&, std::size_t n, std::size_t run)>;

struct Bench {
  std::string name;  // op/encoding
  // Bits read and written per element, and of those the ones on the float side.
  std::size_t bits_in, bits_out, bits_counted;
  std::vector<std::size_t> runs;  // 0: no runs
  Pass pass;
};

std::string shape_name(const Size& size, std::size_t run) {
  if (run == 0) return size.name;
  if (run == 1) return std::string(size.name) + "-columns";
  return std::string(size.name) + (run == kRow ? "-row" : "-g") + std::to_string(run);
}

void run_bench(benchmark::State& state, const KernelTable& table, const Bench& bench, const Size& size,
               std::size_t run) {
  Data& data = data_of(size.numel);
  const std::size_t in_bytes = size.numel * bench.bits_in / 8;
  const std::size_t out_bytes = size.numel * bench.bits_out / 8;
  const double roof = mq::bench::roof_seconds(in_bytes, out_bytes);
  mq::bench::LoopMeter meter;
  for (auto _ : state) {
    bench.pass(table, data, size.numel, run);
    benchmark::ClobberMemory();
  }
  const double seconds_per_pass = meter.seconds_per_pass(state);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(size.numel * bench.bits_counted / 8));
  state.counters["pct_of_roof"] = 100 * roof / seconds_per_pass;
}

// Range, parameters and codes of a row while it is in the nearest cache, as the encoders do.
template <class Quantize>
void encode(const KernelTable& table, Data& d, std::size_t n, std::size_t run, Quantize quantize) {
  const std::size_t band = std::max(run, kRow);
  for (std::size_t begin = 0; begin < n; begin += band) {
    const std::size_t rows = band / run;
    table.range(d.x.data() + begin, rows, run, d.ranges.data());
    for (std::size_t r = 0; r < rows; ++r) d.a[r] = 7.0f / std::max(-d.ranges[r].lo, d.ranges[r].hi);
    quantize(begin, rows);
  }
}

std::vector<Bench> affine_benches() {
  const std::vector<std::size_t> all_runs = {kRow, 128, 32, 1};
  const std::vector<std::size_t> groups = {kRow, 128, 32};
  return {
      {"range/f32", 32, 0, 32, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.range(d.x.data(), n / run, run, d.ranges.data());
       }},
      {"range/f16", 16, 0, 16, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.range_halves({d.halves.data(), false}, n / run, run, d.ranges.data());
       }},
      {"measured/int4-f32", 32, 4, 32, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         mq::kernels::ErrorSums sums{};
         t.quantize_4_measured(d.x.data(), n / run, run, {d.a.data(), d.a.data(), d.b.data(), 0, 15}, d.packed.data(),
                               &sums);
       }},
      {"measured/int4-f16", 16, 4, 16, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         mq::kernels::ErrorSums sums{};
         t.quantize_4_halves({d.halves.data(), false}, n / run, run, {d.a.data(), d.a.data(), d.b.data(), 0, 15},
                             d.packed.data(), &sums);
       }},
      {"measured/int8-bf16", 16, 8, 16, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         mq::kernels::ErrorSums sums{};
         t.quantize_8_halves({d.halves.data(), true}, n / run, run, {d.a.data(), d.a.data(), d.b.data(), -128, 127},
                             d.bytes.data(), &sums);
       }},
      {"quantize/int8", 32, 8, 32, all_runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.quantize_8(d.x.data(), n / run, run, d.a.data(), d.b.data(), -128, 127, d.bytes.data());
       }},
      {"quantize/int4", 32, 4, 32, all_runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.quantize_4(d.x.data(), n / run, run, d.a.data(), d.b.data(), 0, 15, d.packed.data());
       }},
      {"encode/int8", 32, 8, 32, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         encode(t, d, n, run, [&](std::size_t begin, std::size_t rows) {
           t.quantize_8(d.x.data() + begin, rows, run, d.a.data(), d.b.data(), -128, 127, d.bytes.data() + begin);
         });
       }},
      {"encode/int4", 32, 4, 32, groups,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         encode(t, d, n, run, [&](std::size_t begin, std::size_t rows) {
           t.quantize_4(d.x.data() + begin, rows, run, d.a.data(), d.b.data(), 0, 15, d.packed.data() + begin / 2);
         });
       }},
      {"dequantize/int8", 8, 32, 32, all_runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         const auto* q = reinterpret_cast<const std::int8_t*>(d.bytes.data());
         t.dequantize_i8(q, n / run, run, d.a.data(), d.b.data(), d.y.data());
       }},
      {"dequantize/uint8", 8, 32, 32, all_runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.dequantize_u8(d.bytes.data(), n / run, run, d.a.data(), d.b.data(), d.y.data());
       }},
      {"dequantize/int4", 4, 32, 32, all_runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.dequantize_4(d.packed.data(), n / run, run, d.a.data(), d.b.data(), d.y.data());
       }},
  };
}

// Scales of a band while it is in the nearest cache.
std::vector<Bench> search_benches() {
  const auto bench = [](const char* spec, bool weighted) {
    const mq::kernels::AffineSearch how = mq::affine_search(mq::parse_spec(spec));
    return Bench{std::string("search/") + spec + (weighted ? "-weighted" : ""),
                 32,
                 0,
                 32,
                 {kRow, 128, 32},
                 [=](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
                   for (std::size_t begin = 0; begin < n; begin += kRow) {
                     const float* x = d.x.data() + begin;
                     t.range(x, kRow / run, run, d.ranges.data());
                     t.search_affine(how, {x, weighted ? d.y.data() : nullptr, kRow / run, run, d.ranges.data()},
                                     d.a.data(), d.b.data());
                   }
                 }};
  };
  return {bench("int4:sym:full", false), bench("int4:sym:full", true), bench("int4:asym", false), bench("nf4", false)};
}

std::vector<Bench> float_benches() {
  const std::vector<std::size_t> runs = {kRow, 128, 32};
  return {
      {"quantize/e4m3", 32, 8, 32, runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.quantize_e4m3(d.x.data(), n / run, run, d.a.data(), d.bytes.data());
       }},
      {"quantize/e5m2",
       32,
       8,
       32,
       {kRow},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.quantize_e5m2(d.x.data(), n / run, run, d.a.data(), d.bytes.data());
       }},
      {"dequantize/e4m3", 8, 32, 32, runs,
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.dequantize_e4m3(d.bytes.data(), n / run, run, d.a.data(), d.y.data());
       }},
      {"dequantize/e5m2",
       8,
       32,
       32,
       {kRow},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t run) {
         t.dequantize_e5m2(d.bytes.data(), n / run, run, d.a.data(), d.y.data());
       }},
      {"widen/f16",
       16,
       32,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.f16_to_f32(d.halves.data(), n, d.y.data()); }},
      {"widen/bf16",
       16,
       32,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) {
         t.bf16_to_f32(d.halves.data(), n, d.y.data());
       }},
      {"widen/e4m3",
       8,
       32,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.e4m3_to_f32(d.bytes.data(), n, d.y.data()); }},
      {"widen/e5m2",
       8,
       32,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.e5m2_to_f32(d.bytes.data(), n, d.y.data()); }},
      {"narrow/f16",
       32,
       16,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.f32_to_f16(d.x.data(), n, d.halves.data()); }},
      {"narrow/bf16",
       32,
       16,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) {
         t.f32_to_bf16(d.x.data(), n, d.halves.data());
       }},
      {"narrow/e4m3",
       32,
       8,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.f32_to_e4m3(d.x.data(), n, d.bytes.data()); }},
      {"narrow/e5m2",
       32,
       8,
       32,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.f32_to_e5m2(d.x.data(), n, d.bytes.data()); }},
  };
}

std::vector<Bench> byte_benches() {
  return {
      {"pack/int4",
       8,
       4,
       8,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) { t.pack_4(d.bytes.data(), n, d.packed.data()); }},
      {"unpack/int4",
       4,
       8,
       8,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) {
         t.unpack_4(d.packed.data(), n, d.bytes.data());
       }},
      {"error_sums/f32",
       64,
       0,
       64,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) {
         mq::kernels::ErrorSums sums;
         t.error_sums(d.x.data(), d.y.data(), n, &sums);
         benchmark::DoNotOptimize(sums);
       }},
      {"crc32/bytes",
       8,
       0,
       8,
       {0},
       [](const KernelTable& t, Data& d, std::size_t n, std::size_t) {
         benchmark::DoNotOptimize(t.crc32(0, d.bytes.data(), n));
       }},
  };
}

void register_all(const std::vector<Bench>& benches, const mq::bench::Options& options) {
  for (const Bench& bench : benches) {
    for (const Size& size : kSizes) {
      if (options.cold && std::string_view(size.name) != "dram") continue;
      for (const std::size_t run : bench.runs) {
        for (const KernelTable* table : mq::kernels::available_kernels()) {
          if (!options.wants(table->name)) continue;
          const std::string name = bench.name + "/" + shape_name(size, run) + "/" + table->name;
          benchmark::RegisterBenchmark(name.c_str(),
                                       [=](benchmark::State& state) { run_bench(state, *table, bench, size, run); });
        }
      }
    }
  }
}

}  // namespace

void mq::bench::register_kernels(const Options& options) {
  register_all(affine_benches(), options);
  register_all(search_benches(), options);
  register_all(float_benches(), options);
  register_all(byte_benches(), options);
}
