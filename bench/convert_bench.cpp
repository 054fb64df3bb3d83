// Times whole conversions: against `cp` of the same file, of .pt against safetensors, and as they grow.
//
// The input is a synthetic fp16 language model of random weights, written once into --dir. Ratios come from pairs of
// runs, alternating, and are medians. Every run has a new target on the same file system and is preceded by a discarded
// write and delete of the output's size, because page backing moves timings by far more than the work itself on virtual
// machines.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/arguments.hpp"
#include "bench/convert_inputs.hpp"
#include "bench/convert_io.hpp"
#include "bench/convert_scaling.hpp"
#include "mq/mq.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string what = "cp";
  fs::path dir = fs::temp_directory_path();
  std::int64_t megabytes = 2048;
  int pairs = 9;
  int threads = 2;
  std::int64_t tensors = 1'000'000;  // kept ones
  std::vector<std::string> schemes = {"int8", "int4:g128,fast", "int4:g128"};
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Touches the pages that the next output will need, and gives them back.
void warm_pages(const fs::path& dir, std::int64_t bytes) {
  const fs::path path = dir / "mq-bench-discarded";
  const std::vector<char> block(4 << 20, 1);
  std::ofstream out(path, std::ios::binary);
  for (std::int64_t done = 0; done < bytes; done += static_cast<std::int64_t>(block.size())) {
    out.write(block.data(), static_cast<std::streamsize>(block.size()));
  }
  out.close();
  fs::remove(path);
}

double time_cp(const fs::path& input, const fs::path& output) {
  std::string from = input.string();
  std::string to = output.string();
  char* const argv[] = {const_cast<char*>("cp"),
                        const_cast<char*>("--reflink=never"),
                        const_cast<char*>("--sparse=never"),
                        from.data(),
                        to.data(),
                        nullptr};
  const auto start = Clock::now();
  pid_t pid = 0;
  int status = 1;
  if (posix_spawnp(&pid, "cp", nullptr, nullptr, argv, environ) == 0) waitpid(pid, &status, 0);
  const double seconds = seconds_since(start);
  if (status != 0) throw mq::Error(mq::ErrorCode::Io, "cp failed");
  fs::remove(output);
  return seconds;
}

double time_convert(const fs::path& input, const fs::path& output, const std::string& scheme, mq::Executor& executor,
                    std::int64_t& output_bytes, bool verify_checksums = true) {
  const auto start = Clock::now();
  const auto checkpoint = mq::open_checkpoint(input, {.verify_checksums = verify_checksums});
  mq::Recipe recipe;
  mq::bench::set_encoding(recipe, scheme);
  const mq::Plan plan = mq::make_plan(mq::describe(*checkpoint), recipe);
  const auto writer = mq::create_checkpoint(output, recipe.format, {.sync = false});
  output_bytes = mq::convert(*checkpoint, plan, *writer, executor).output_bytes;
  const double seconds = seconds_since(start);
  fs::remove(output);
  fs::remove(output.string() + ".quantization_metadata.json");
  return seconds;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void compare_with_cp(const Options& options, const fs::path& input, const std::string& scheme) {
  const auto executor = mq::make_thread_executor(options.threads);
  const fs::path output = options.dir / "mq-bench-output.safetensors";
  const auto input_bytes = static_cast<std::int64_t>(fs::file_size(input));
  std::int64_t output_bytes = input_bytes / 2;
  std::vector<double> ratios, converted, copied;
  for (int pair = 0; pair < options.pairs; ++pair) {
    warm_pages(options.dir, input_bytes);
    copied.push_back(time_cp(input, output));
    warm_pages(options.dir, output_bytes);
    converted.push_back(time_convert(input, output, scheme, *executor, output_bytes));
    ratios.push_back(converted.back() / copied.back());
  }
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("%-14s %7.3f s  %6.2f GB/s in   cp %7.3f s   ratio %.2f (%.2f-%.2f)\n", scheme.c_str(), median(converted),
              static_cast<double>(input_bytes) / median(converted) / 1e9, median(copied), median(ratios), *low, *high);
}

// .pt, with and without its checksums verified, against safetensors of the same tensors.
void compare_inputs(const Options& options) {
  const auto executor = mq::make_thread_executor(options.threads);
  const fs::path plain = options.dir / "mq-bench-input.safetensors", zip = options.dir / "mq-bench-input.pt";
  const fs::path output = options.dir / "mq-bench-output.safetensors";
  mq::bench::make_safetensors(plain, options.megabytes);
  mq::bench::make_torch_zip(zip, options.megabytes);
  std::int64_t bytes = options.megabytes << 19;
  const auto timed = [&](const fs::path& input, bool verify) {
    warm_pages(options.dir, bytes);
    return time_convert(input, output, "int8", *executor, bytes, verify);
  };
  std::vector<double> safetensors, unverified, verified;
  for (int pair = 0; pair < options.pairs; ++pair) {
    safetensors.push_back(timed(plain, true));
    unverified.push_back(timed(zip, false) / safetensors.back());
    verified.push_back(timed(zip, true) / safetensors.back());
  }
  const auto print = [](const char* name, const std::vector<double>& ratios) {
    const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
    std::printf("%-24s %.2f x safetensors (%.2f-%.2f)\n", name, median(ratios), *low, *high);
  };
  std::printf("int8 from safetensors    %.3f s\n", median(safetensors));
  print("from .pt, no checksums", unverified);
  print("from .pt, verified", verified);
  fs::remove(plain);
  fs::remove(zip);
}

void compare_all_with_cp(const Options& options) {
  const fs::path input = options.dir / "mq-bench-input.safetensors";
  mq::bench::make_safetensors(input, options.megabytes);
  std::printf("input %.2f GB of fp16, %d threads, %s kernels, median of %d pairs\n",
              static_cast<double>(fs::file_size(input)) / 1e9, options.threads, std::string(mq::active_isa()).c_str(),
              options.pairs);
  for (const std::string& scheme : options.schemes) compare_with_cp(options, input, scheme);
  fs::remove(input);
}

bool parse(int argc, char** argv, Options& options) {
  int i = 1;
  if (argc > 1 && argv[1][0] != '-') options.what = argv[i++];
  for (; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    const auto number = [&](auto& into) {
      constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
      into = static_cast<std::remove_reference_t<decltype(into)>>(mq::bench::parse_whole(name, value, 1, kMost));
    };
    if (name == "--dir") {
      options.dir = value;
    } else if (name == "--mb") {
      number(options.megabytes);
    } else if (name == "--pairs") {
      number(options.pairs);
    } else if (name == "--threads") {
      number(options.threads);
    } else if (name == "--tensors") {
      number(options.tensors);
    } else if (name == "--scheme") {
      options.schemes = {std::string(value)};
    } else {
      return false;
    }
  }
  return i == argc;
}

bool run(const Options& options) {
  if (options.what == "cp") {
    compare_all_with_cp(options);
  } else if (options.what == "inputs") {
    compare_inputs(options);
  } else if (options.what == "tensors") {
    mq::bench::tensors_table(options.dir, options.tensors);
  } else if (options.what == "io") {
    mq::bench::io_table(options.dir, options.megabytes, options.pairs, options.threads);
  } else if (options.what == "shards") {
    mq::bench::shards_table(options.dir);
  } else if (options.what == "memory") {
    mq::bench::memory_table(options.dir, options.threads);
  } else if (options.what == "threads") {
    mq::bench::threads_table(options.dir, options.megabytes, options.threads);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  try {
    if (parse(argc, argv, options) && run(options)) return 0;
  } catch (const mq::Error& problem) {
    std::fprintf(stderr, "mq-bench-convert: %s\n", problem.what());
    return mq::exit_code(problem.code());
  }
  std::fprintf(
      stderr,
      "usage: mq-bench-convert [cp|inputs|io|tensors|shards|memory|threads] [--dir DIR] [--mb 2048] [--pairs 9]\n"
      "                        [--threads 2] [--scheme SPEC] [--tensors 1000000]\n");
  return 2;
}
