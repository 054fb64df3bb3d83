#include "bench/convert_scaling.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "bench/convert_inputs.hpp"
#include "mq/mq.hpp"

namespace mq::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kNorms = 10;  // kept for each tensor that is quantized

struct Cost {
  double seconds = 0;
  double peak_mebibytes = 0;
};

// Runs work in a process of its own, whose peak memory is then that of the work.
template <class Work>
Cost cost_of(Work&& work) {
  std::fflush(stdout);
  const auto start = Clock::now();
  const pid_t child = fork();
  if (child < 0) throw Error(ErrorCode::Io, "cannot fork");
  if (child == 0) {
    try {
      work();
    } catch (const Error& problem) {
      std::fprintf(stderr, "%s\n", problem.what());
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  struct rusage usage {};
  wait4(child, &status, 0, &usage);
  if (status != 0) throw Error(ErrorCode::Internal, "the measured run failed");
  return {std::chrono::duration<double>(Clock::now() - start).count(), static_cast<double>(usage.ru_maxrss) / 1024};
}

void convert_to_nothing(const fs::path& input, const char* scheme, int threads) {
  const auto checkpoint = open_checkpoint(input);
  Recipe recipe;
  set_encoding(recipe, scheme);
  const Plan plan = make_plan(describe(*checkpoint), recipe);
  const auto writer = make_null_writer();
  const auto executor = make_thread_executor(threads);
  convert(*checkpoint, plan, *writer, *executor);
}

void convert_folder(const fs::path& input, const fs::path& output) {
  const auto checkpoint = open_checkpoint(input);
  Recipe recipe;
  recipe.format = "hf_safetensors";
  recipe.scheme = parse_spec("int8");
  const Plan plan = make_plan(describe(*checkpoint), recipe);
  const auto writer = create_checkpoint(output, recipe.format, {.sync = false});
  const auto executor = make_thread_executor(2);
  convert(*checkpoint, plan, *writer, *executor);
}

double best_of(int runs, const fs::path& output, const fs::path& input) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    best = std::min(best, cost_of([&] { convert_folder(input, output); }).seconds);
    fs::remove_all(output);
  }
  return best;
}

}  // namespace

void tensors_table(const fs::path& dir, std::int64_t most) {
  const fs::path input = dir / "mq-bench-many", output = dir / "mq-bench-many-out";
  const Cost nothing = cost_of([] {});
  std::printf("int8, folder to folder, 2 threads\n%10s %10s %10s %12s %10s %16s\n", "tensors", "quantized", "seconds",
              "us / tensor", "peak MiB", "bytes / tensor");
  const auto row = [&](std::int64_t quantized, std::int64_t kept) {
    // In a process of its own: what it leaves in memory would count for the run.
    cost_of([&] { make_many(input, quantized, kept, 1); });
    const Cost cost = cost_of([&] { convert_folder(input, output); });
    const double tensors = static_cast<double>(quantized * (1 + kept));
    std::printf("%10.0f %10lld %10.3f %12.2f %10.1f %16.0f\n", tensors, static_cast<long long>(quantized), cost.seconds,
                1e6 * cost.seconds / tensors, cost.peak_mebibytes,
                (cost.peak_mebibytes - nothing.peak_mebibytes) * 0x1p20 / tensors);
    fs::remove_all(output);
  };
  for (std::int64_t quantized = most / 1000; quantized <= most / 10; quantized *= 10) {
    if (quantized == 0) continue;
    row(quantized, kNorms);
  }
  row(most / 10, 0);
  fs::remove_all(input);
}

void shards_table(const fs::path& dir) {
  const fs::path input = dir / "mq-bench-shards", output = dir / "mq-bench-shards-out";
  std::printf("int8, 110,000 tensors, folder to folder, 2 threads; best of 5\n%10s %10s\n", "shards", "seconds");
  for (const std::int64_t shards : {1, 10, 100, 1000}) {
    cost_of([&] { make_many(input, 10000, kNorms, shards); });
    std::printf("%10lld %10.3f\n", static_cast<long long>(shards), best_of(5, output, input));
  }
  fs::remove_all(input);
}

void memory_table(const fs::path& dir, int threads) {
  const fs::path input = dir / "mq-bench-sparse.safetensors";
  std::printf("int8 of a sparse file into nothing, %d threads\n%10s %10s %10s\n", threads, "GB", "seconds", "peak MiB");
  for (const std::int64_t gigabytes : {1, 10, 50}) {
    make_sparse(input, gigabytes * 954);
    const Cost cost = cost_of([&] { convert_to_nothing(input, "int8", threads); });
    std::printf("%10lld %10.2f %10.1f\n", static_cast<long long>(gigabytes), cost.seconds, cost.peak_mebibytes);
  }
  fs::remove(input);
}

void threads_table(const fs::path& dir, std::int64_t mebibytes, int most) {
  const fs::path input = dir / "mq-bench-threads.safetensors";
  make_safetensors(input, mebibytes);
  std::printf("%lld MiB of fp16 into nothing; best of 3\n%10s %12s %12s %12s\n", static_cast<long long>(mebibytes),
              "threads", "int8 s", "int4 fast s", "int4 s");
  for (int threads = 1; threads <= most; threads *= 2) {
    std::printf("%10d", threads);
    for (const char* scheme : {"int8", "int4:g128,fast", "int4:g128"}) {
      double best = 1e9;
      for (int i = 0; i < 3; ++i)
        best = std::min(best, cost_of([&] { convert_to_nothing(input, scheme, threads); }).seconds);
      std::printf(" %12.3f", best);
    }
    std::printf("\n");
  }
  fs::remove(input);
}

}  // namespace mq::bench
