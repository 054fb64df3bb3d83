#include "bench/convert_io.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/convert_inputs.hpp"
#include "mq/mq.hpp"

namespace mq::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kKibibyte = 1024, kMebibyte = 1024 * kKibibyte;

void require(bool done, const char* what) {
  if (!done) throw Error(ErrorCode::Io, std::string(what) + ": " + std::strerror(errno));
}

// A descriptor for the length of a scope.
struct Descriptor {
  Descriptor(const fs::path& path, int flags) : value(::open(path.c_str(), flags, 0600)) {
    require(value >= 0, "open");
  }
  ~Descriptor() { ::close(value); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value;
};

struct Pages {
  Pages(std::size_t bytes, bool huge) : size(bytes) {
    data = static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    require(data != MAP_FAILED, "mmap");
    if (huge) ::madvise(data, size, MADV_HUGEPAGE);
    std::memset(data, 1, size);
  }
  ~Pages() { ::munmap(data, size); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  char* data;
  std::size_t size;
};

void drop_cache(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  require(::posix_fadvise(file.value, 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise");
}

struct How {
  std::size_t buffer = 256 * kKibibyte;
  int flags = 0;          // of open
  int advice = -1;        // of posix_fadvise
  std::size_t ahead = 0;  // as much as was read is asked for so far after it
  bool huge = false;
  bool reserve = false;  // fallocate
};

// All of a file in pieces that the threads take in turn, as a conversion takes tiles.
template <class Transfer>
void in_pieces(Executor& executor, std::size_t total, const How& how, Transfer&& transfer) {
  std::atomic<std::size_t> next = 0;
  executor.parallel_for(executor.concurrency(), [&](std::int64_t) {
    const Pages buffer(how.buffer, how.huge);
    for (std::size_t at = next.fetch_add(how.buffer); at < total; at = next.fetch_add(how.buffer)) {
      const std::size_t bytes = std::min(how.buffer, total - at);
      require(transfer(buffer.data, bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes), "transfer");
    }
  });
}

void read_all(const fs::path& path, Executor& executor, const How& how) {
  const Descriptor file(path, O_RDONLY | how.flags);
  if (how.advice >= 0) ::posix_fadvise(file.value, 0, 0, how.advice);
  in_pieces(executor, fs::file_size(path), how, [&](char* data, std::size_t bytes, off_t at) {
    if (how.ahead != 0) {
      ::posix_fadvise(file.value, at + static_cast<off_t>(how.ahead), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
    }
    // Whole sectors, as O_DIRECT wants it; the file ends before.
    return ::pread(file.value, data, (bytes + 4095) / 4096 * 4096, at);
  });
}

void read_mapped(const fs::path& path) {
  const std::size_t size = fs::file_size(path);
  const Descriptor file(path, O_RDONLY);
  const auto* bytes = static_cast<const char*>(::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.value, 0));
  require(bytes != MAP_FAILED, "mmap");
  volatile char sum = 0;
  for (std::size_t at = 0; at < size; at += 4096) sum = static_cast<char>(sum + bytes[at]);
  ::munmap(const_cast<char*>(bytes), size);
}

void write_all(const fs::path& path, Executor& executor, std::size_t total, const How& how) {
  {
    const Descriptor file(path, O_RDWR | O_CREAT | O_TRUNC | how.flags);
    if (how.reserve) require(::fallocate(file.value, 0, 0, static_cast<off_t>(total)) == 0, "fallocate");
    if (!how.reserve) require(::ftruncate(file.value, static_cast<off_t>(total)) == 0, "ftruncate");
    in_pieces(executor, total, how,
              [&](char* data, std::size_t bytes, off_t at) { return ::pwrite(file.value, data, bytes, at); });
  }
  fs::remove(path);
}

void convert_file(const fs::path& input, const fs::path& output, const char* scheme, const char* format,
                  std::optional<std::int64_t> shard_bytes, Executor& executor) {
  const auto checkpoint = open_checkpoint(input);
  Recipe recipe;
  set_encoding(recipe, scheme);
  recipe.format = format;
  recipe.max_shard_bytes = shard_bytes;
  const Plan plan = make_plan(describe(*checkpoint), recipe);
  const auto writer = create_checkpoint(output, recipe.format, {.sync = false});
  convert(*checkpoint, plan, *writer, executor);
}

struct Trial {
  std::string name;
  std::function<void()> prepare, run, tidy;
  std::vector<double> seconds = {}, cpu = {};
  std::string problem = {};
};

double cpu_seconds() {
  struct timespec now {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Every trial once in each round, so that what disturbs one disturbs its neighbours.
void run_trials(const char* title, std::vector<Trial>& trials, int rounds, double gigabytes) {
  for (int round = 0; round < rounds; ++round) {
    for (Trial& trial : trials) {
      if (!trial.problem.empty()) continue;
      try {
        trial.prepare();
        const double cpu = cpu_seconds();
        const auto start = Clock::now();
        trial.run();
        trial.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        trial.cpu.push_back(cpu_seconds() - cpu);
        trial.tidy();
      } catch (const Error& problem) {
        trial.problem = problem.what();
      }
    }
  }
  std::printf("\n%-44s %8s %8s %8s %8s\n", title, "s", "best", "cpu s", "GB/s");
  for (const Trial& trial : trials) {
    if (!trial.problem.empty()) {
      std::printf("%-44s %s\n", trial.name.c_str(), trial.problem.c_str());
      continue;
    }
    std::printf("%-44s %8.3f %8.3f %8.3f %8.2f\n", trial.name.c_str(), median(trial.seconds),
                std::ranges::min(trial.seconds), median(trial.cpu), gigabytes / median(trial.seconds));
  }
}

}  // namespace

void io_table(const fs::path& dir, std::int64_t mebibytes, int rounds, int threads) {
  const fs::path input = dir / "mq-bench-input.safetensors", output = dir / "mq-bench-io-out";
  make_safetensors(input, mebibytes);
  {
    const Descriptor file(input, O_RDWR);
    require(::fsync(file.value) == 0, "fsync");  // only clean pages can be dropped
  }
  const auto executor = make_thread_executor(threads), one = make_thread_executor(1);
  const double gigabytes = static_cast<double>(fs::file_size(input)) / 1e9;
  const auto nothing = [] {};
  const auto cold = [&] { drop_cache(input); };
  const auto remove_output = [&] {
    fs::remove_all(output);
    fs::remove(output.string() + ".quantization_metadata.json");
  };
  const auto reading = [&](const char* name, Executor& by, const How& how) {
    return Trial{name, cold, [&, how] { read_all(input, by, how); }, nothing};
  };
  std::vector<Trial> reads = {
      reading("read loop, 4 MiB, 1 thread", *one, {.buffer = 4 * kMebibyte}),
      reading("pread, 256 KiB", *executor, {}),
      reading("  asking 8 MiB ahead (as a conversion reads)", *executor, {.ahead = 8 * kMebibyte}),
      reading("  POSIX_FADV_SEQUENTIAL", *executor, {.advice = POSIX_FADV_SEQUENTIAL}),
      reading("  POSIX_FADV_WILLNEED", *executor, {.advice = POSIX_FADV_WILLNEED}),
      reading("  1 MiB", *executor, {.buffer = kMebibyte}),
      reading("  4 MiB", *executor, {.buffer = 4 * kMebibyte}),
      reading("  8 MiB", *executor, {.buffer = 8 * kMebibyte}),
      reading("  4 MiB, huge pages", *executor, {.buffer = 4 * kMebibyte, .huge = true}),
      reading("  4 MiB, O_DIRECT", *executor, {.buffer = 4 * kMebibyte, .flags = O_DIRECT}),
      {"mapped, 1 thread", cold, [&] { read_mapped(input); }, nothing},
      {"conversion to int8", cold, [&] { convert_file(input, output, "int8", "safetensors", std::nullopt, *executor); },
       remove_output},
  };
  run_trials("cold input", reads, rounds, gigabytes);

  const std::size_t bytes = static_cast<std::size_t>(mebibytes) * kMebibyte / 4;
  const auto writing = [&](const char* name, const How& how) {
    return Trial{name, nothing, [&, how] { write_all(output, *executor, bytes, how); }, nothing};
  };
  const std::int64_t shard = mebibytes << 16;
  std::vector<Trial> writes = {
      writing("pwrite, 64 KiB, fallocate", {.buffer = 64 * kKibibyte, .reserve = true}),
      writing("  256 KiB, ftruncate", {.buffer = 256 * kKibibyte}),
      writing("  256 KiB, fallocate (as a conversion writes)", {.buffer = 256 * kKibibyte, .reserve = true}),
      writing("  1 MiB, fallocate", {.buffer = kMebibyte, .reserve = true}),
      writing("  1 MiB, huge pages, fallocate", {.buffer = kMebibyte, .huge = true, .reserve = true}),
      writing("  1 MiB, O_DIRECT, fallocate", {.buffer = kMebibyte, .flags = O_DIRECT, .reserve = true}),
      {"int4:g128,fast, one file", nothing,
       [&] { convert_file(input, output, "int4:g128,fast", "safetensors", std::nullopt, *executor); }, remove_output},
      {"int4:g128,fast, folder of shards", nothing,
       [&] { convert_file(input, output, "int4:g128,fast", "hf_safetensors", shard, *executor); }, remove_output},
  };
  run_trials("a quarter of the bytes out, warm input", writes, rounds, static_cast<double>(bytes) / 1e9);
  char parameters[120] = {};
  const long ring = ::syscall(SYS_io_uring_setup, 8, parameters);
  std::printf("\nio_uring_setup: %s\n", ring < 0 ? std::strerror(errno) : "works");
  if (ring >= 0) ::close(static_cast<int>(ring));
  fs::remove(input);
}

}  // namespace mq::bench
