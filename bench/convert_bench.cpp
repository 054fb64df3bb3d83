// Times whole conversions against `cp` of the same file: pairs of runs, alternating, and the median of their ratios.
//
// The input is a synthetic fp16 language model of random weights, written once into --dir. Every run has a new target
// on the same file system and is preceded by a discarded write and delete of the output's size, because page backing
// moves timings by far more than the work itself on virtual machines.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "mq/mq.hpp"

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
  fs::path dir = fs::temp_directory_path();
  std::int64_t megabytes = 2048;
  int pairs = 9;
  int threads = 2;
  std::vector<std::string> schemes = {"int8", "int4:g128"};
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Names and shapes of a Llama-like model of about the size asked for, in tensors of 4096 columns.
std::vector<mq::TensorInfo> model_layout(std::int64_t megabytes) {
  constexpr std::int64_t kCols = 4096;
  constexpr std::int64_t kRows = 5376;  // 42 MiB of fp16
  std::vector<mq::TensorInfo> tensors;
  for (std::int64_t done = 0, layer = 0; done < megabytes << 20; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer) + ".mlp.up_proj.weight";
    tensors.push_back({.name = name, .dtype = mq::DType::Float16, .shape = {kRows, kCols}});
    done += tensors.back().size_bytes();
  }
  return tensors;
}

// Random fp16 weights between 2^-9 and 2^-1, either sign: 11 random bits of sign and mantissa, 3 of exponent.
void fill(std::vector<std::uint16_t>& values, std::uint64_t& state) {
  for (std::uint16_t& value : values) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const std::uint64_t bits = state >> 33;
    const std::uint64_t exponent = 6 + (bits >> 11 & 7);
    value = static_cast<std::uint16_t>((bits & 1) << 15 | exponent << 10 | (bits >> 1 & 0x3ff));
  }
}

void make_input(const fs::path& path, std::int64_t megabytes) {
  const mq::Layout layout{.tensors = model_layout(megabytes)};
  const auto writer = mq::create_checkpoint(path, "safetensors", {.overwrite = true, .sync = false});
  writer->begin(layout);
  std::uint64_t state = 1;
  std::vector<std::uint16_t> rows;
  for (std::size_t t = 0; t < layout.tensors.size(); ++t) {
    const mq::Shape& shape = layout.tensors[t].shape;
    rows.resize(static_cast<std::size_t>(64 * shape[1]));
    for (std::int64_t r = 0; r < shape[0]; r += 64) {
      fill(rows, state);
      writer->write(t, r, 64, 0, 2 * shape[1], std::as_bytes(std::span(rows)));
    }
  }
  writer->finish();
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
                    std::int64_t& output_bytes) {
  const auto start = Clock::now();
  const auto checkpoint = mq::open_checkpoint(input);
  mq::Recipe recipe;
  recipe.scheme = mq::parse_spec(scheme);
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
  std::printf("%-12s %7.3f s  %6.2f GB/s in   cp %7.3f s   ratio %.2f (%.2f-%.2f)\n", scheme.c_str(), median(converted),
              static_cast<double>(input_bytes) / median(converted) / 1e9, median(copied), median(ratios), *low, *high);
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::string_view value = argv[i + 1];
    const auto number = [&](auto& into) { std::from_chars(value.data(), value.data() + value.size(), into); };
    if (name == "--dir") {
      options.dir = value;
    } else if (name == "--mb") {
      number(options.megabytes);
    } else if (name == "--pairs") {
      number(options.pairs);
    } else if (name == "--threads") {
      number(options.threads);
    } else if (name == "--scheme") {
      options.schemes = {std::string(value)};
    } else {
      return false;
    }
  }
  return argc % 2 == 1 && options.megabytes > 0 && options.pairs > 0 && options.threads > 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(argc, argv, options)) {
    std::fprintf(stderr, "usage: mq-bench-convert [--dir DIR] [--mb 2048] [--pairs 9] [--threads 2] [--scheme SPEC]\n");
    return 2;
  }
  try {
    const fs::path input = options.dir / "mq-bench-input.safetensors";
    make_input(input, options.megabytes);
    std::printf("input %.2f GB of fp16, %d threads, %s kernels, median of %d pairs\n",
                static_cast<double>(fs::file_size(input)) / 1e9, options.threads, std::string(mq::active_isa()).c_str(),
                options.pairs);
    for (const std::string& scheme : options.schemes) compare_with_cp(options, input, scheme);
    fs::remove(input);
  } catch (const mq::Error& problem) {
    std::fprintf(stderr, "mq-bench-convert: %s\n", problem.what());
    return mq::exit_code(problem.code());
  }
  return 0;
}
