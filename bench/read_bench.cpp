// Times what it takes to open files: large ones, of which only the structure is read, and hostile ones, which must cost
// no more. Names are open/KIND/SIZE; `tensors` counts what was found.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mq/checkpoint.hpp"
#include "mq/error.hpp"
#include "tests/support/files.hpp"
#include "tests/support/zip_builder.hpp"

namespace {

using mq::test::PickleBuilder;

// {"w0": tensor, ...}, each with a storage of its own.
mq::test::TorchFile state_dict(std::int64_t tensors) {
  PickleBuilder p;
  p.proto().empty_dict();
  mq::test::TorchFile file;
  for (std::int64_t i = 0; i < tensors; ++i) {
    const std::string key = std::to_string(i);
    p.text("model.layers.w" + key).vector(key, 16).setitem();
    file.storages.push_back(mq::test::float_bytes(16));
  }
  file.pickle = p.bytes() + ".";
  return file;
}

// A tuple of a tuple of ... each twice: 2^levels paths.
mq::test::TorchFile memo_bomb(std::int64_t levels) {
  PickleBuilder p;
  p.proto().empty_dict().text("w").vector("0", 16).setitem().text("bomb").integer(1);
  for (std::int64_t i = 0; i < levels; ++i) {
    const auto index = static_cast<std::uint32_t>(100 + i);
    p.put(index).get(index).raw("\x86");
  }
  p.setitem();
  return {.pickle = p.bytes() + ".", .storages = {mq::test::float_bytes(16)}};
}

// A list in a list in a list ...
mq::test::TorchFile nested_lists(std::int64_t levels) {
  PickleBuilder p;
  p.proto();
  for (std::int64_t i = 0; i < levels; ++i) p.empty_list();
  for (std::int64_t i = 1; i < levels; ++i) p.append();
  return {.pickle = p.bytes() + "."};
}

using MakeFile = mq::test::TorchFile (*)(std::int64_t);

template <MakeFile make>
void open(benchmark::State& state) {
  const mq::test::TempDir dir;
  const std::filesystem::path path = mq::test::write_file(dir / "m.pt", mq::test::torch_bytes(make(state.range(0))));
  std::size_t tensors = 0;
  for (auto _ : state) {
    try {
      tensors = mq::open_checkpoint(path)->tensors().size();
    } catch (const mq::Error& error) {
      benchmark::DoNotOptimize(error.code());
    }
  }
  state.counters["tensors"] = static_cast<double>(tensors);
  state.counters["bytes"] = static_cast<double>(std::filesystem::file_size(path));
}

void open_file(benchmark::State& state, const std::filesystem::path& path) {
  std::size_t tensors = 0;
  for (auto _ : state) tensors = mq::open_checkpoint(path)->tensors().size();
  state.counters["tensors"] = static_cast<double>(tensors);
}

}  // namespace

BENCHMARK(open<state_dict>)->Name("open/state_dict")->Arg(300)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(open<memo_bomb>)->Name("open/memo_bomb")->Arg(60)->Arg(600)->Unit(benchmark::kMillisecond);
BENCHMARK(open<nested_lists>)->Name("open/nested_lists")->Arg(1000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// Files given on the command line are opened too.
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::filesystem::path path = argv[i];
    benchmark::RegisterBenchmark(("open/" + path.filename().string()).c_str(), open_file, path)
        ->Unit(benchmark::kMillisecond);
  }
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
