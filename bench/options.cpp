#include "bench/options.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "bench/arguments.hpp"
#include "mq/checkpoint.hpp"

namespace mq::bench {
namespace {

// MxNxK
ProductShape parse_shape(std::string_view option, std::string_view text) {
  std::array<std::int64_t, 3> sizes{};
  std::string_view rest = text;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const std::size_t at = rest.find('x');
    if ((at == std::string_view::npos) != (i + 1 == sizes.size())) fail(option, "MxNxK, as in 32x4096x4096", text);
    sizes[i] = parse_whole(option, rest.substr(0, at), 1);
    rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  }
  return {sizes[0], sizes[1], sizes[2]};
}

// The different shapes of a model's matrices, with one row of activations and with 32.
void add_shapes_of(const std::string& path, std::vector<ProductShape>& shapes) {
  std::set<std::pair<std::int64_t, std::int64_t>> found;
  const auto checkpoint = open_checkpoint(path);
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    const bool matrix =
        tensor.shape.size() == 2 && info(tensor.dtype).is_float && tensor.shape[0] > 1 && tensor.shape[1] > 1;
    if (matrix) found.emplace(tensor.shape[0], tensor.shape[1]);
  }
  if (found.empty()) fail("--shapes-from", "a checkpoint with matrices of floats", path);
  for (const auto& [n, k] : found) {
    shapes.push_back({1, n, k});
    shapes.push_back({32, n, k});
  }
}

}  // namespace

bool Options::wants(std::string_view isa) const {
  return isas.empty() || std::ranges::find(isas, isa) != isas.end();
}

Options parse_options(std::span<const std::string> arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value = [&]() -> const std::string& { return value_after(arguments, i); };
    if (argument == "--help") {
      options.help = true;
    } else if (argument == "--filter") {
      options.passed.push_back("--benchmark_filter=" + value());
    } else if (argument == "--repetitions") {
      options.passed.push_back("--benchmark_repetitions=" + std::to_string(parse_whole(argument, value(), 1)));
    } else if (argument == "--json") {
      options.passed.push_back("--benchmark_out=" + value());
      options.passed.push_back("--benchmark_out_format=json");
    } else if (argument == "--isa") {
      options.isas.push_back(value());
    } else if (argument == "--shape") {
      options.shapes.push_back(parse_shape(argument, value()));
    } else if (argument == "--shapes-from") {
      add_shapes_of(value(), options.shapes);
    } else if (argument == "--cold") {
      options.cold = true;
    } else if (argument == "--perf") {
      options.perf = true;
    } else if (argument == "--pin") {
      options.pin = static_cast<int>(parse_whole(argument, value(), 0));
    } else if (argument == "--svg") {
      options.svg = value();
    } else if (argument.starts_with("--benchmark_")) {
      options.passed.push_back(argument);
    } else {
      fail(argument, "an option of mq-bench (--help lists them)", argument);
    }
  }
  return options;
}

std::string_view usage() {
  return "usage: mq-bench [OPTION...]\n"
         "       mq-bench compare OLD.json NEW.json\n"
         "\n"
         "Measures every kernel, encoding and product on every instruction set of this machine. Rows are named\n"
         "op/encoding/shape/isa and say what share of this machine's limit, measured in the same run, they reach.\n"
         "\n"
         "  --filter REGEX            only rows whose name matches\n"
         "  --isa NAME                only this kernel table; may be given again\n"
         "  --shape MxNxK             products of these shapes instead of the usual ones; may be given again\n"
         "  --shapes-from CHECKPOINT  products of the shapes of its matrices, with 1 and 32 rows of activations\n"
         "  --cold                    operands from memory: kernels of 64 MiB, products with weights in turn\n"
         "  --pin CPU                 stay on this processor\n"
         "  --perf                    hardware counters: cycles, instructions and misses of the last cache for a pass\n"
         "  --repetitions N           measure every row N times, which tells `compare` what is noise\n"
         "  --json FILE               write the rows there as JSON\n"
         "  --svg FILE                write a roofline plot of the products\n"
         "  --benchmark_...           any option of Google Benchmark\n"
         "\n"
         "compare says of each row of both files whether it became faster or slower by more than its noise; exit code\n"
         "1 if one became slower.\n";
}

}  // namespace mq::bench
