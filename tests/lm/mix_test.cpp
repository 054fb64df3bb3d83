// What errors of each weight matter, and mixed encodings chosen by it.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <sstream>

#include "bench/lm_command.hpp"
#include "bench/lm_eval.hpp"
#include "mq/mq.hpp"
#include "tests/lm/tiny_lm.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/sanitizers.hpp"

using namespace mq;
namespace fs = std::filesystem;

namespace {

const bench::Encoding kProbe{.spec = parse_spec("int3:channel"), .effort = Effort::Fast};

// KL divergence of a file from the model that it was made of, on the first windows of a text.
class Divergence {
 public:
  Divergence(const fs::path& lm, const bench::Windows& windows)
      : windows_(windows), model_(bench::load_lm(lm / "model")), source_(describe(*open_checkpoint(lm / "model"))) {
    const std::vector<std::string> names = {"eval.mixed"};
    texts_ = bench::read_texts(lm / "tokens.safetensors", names, windows);
    expected_ = bench::predictions(model_, texts_.front(), windows, *executor_);
  }

  double of_file(const fs::path& path) const {
    bench::LmModel model = bench::load_lm(path, model_.config, &source_);
    CHECK(bench::bits_per_weight(model) <= 4.5);
    return of(model);
  }
  double of_scheme(const char* scheme) const {
    QuantSpec spec = parse_spec(scheme);
    if (!spec.scale_dtype) spec.scale_dtype = DType::Float16;
    const bench::LmModel model = bench::through_encoding(model_, {.spec = spec}, {}, *executor_);
    CHECK(bench::bits_per_weight(model) == doctest::Approx(4.5).epsilon(1e-3));
    return of(model);
  }

 private:
  double of(const bench::LmModel& model) const {
    return *bench::evaluate(model, texts_, windows_, expected_, *executor_).kl_divergence;
  }

  bench::Windows windows_;
  std::unique_ptr<Executor> executor_ = make_thread_executor(usable_processors());
  bench::LmModel model_;
  Source source_;
  std::vector<bench::Text> texts_;
  bench::Predictions expected_;
};

}  // namespace

TEST_CASE("sensitivities: 0 for weights whose errors reach nothing, else the divergence over the error") {
  const test::TinyLm tiny;
  bench::LmModel model = bench::load_lm(tiny.model());
  const bench::Windows windows{2, 16};
  const std::vector<std::string> names = {"calib.ids"};
  const bench::Text text = bench::read_texts(tiny.tokens(), names, windows).front();
  const auto found = [&] { return bench::sensitivities(model, text, windows, kProbe, {}, serial_executor()); };
  for (const float value : found()) CHECK(value > 0);

  Buffer zeros(model.layers[0].o.weight.bytes().size());
  std::memset(zeros.data(), 0, zeros.size());
  model.layers[0].o.weight = Tensor(DType::Float32, model.layers[0].o.weight.shape(), std::move(zeros));
  const std::vector<float> cut = found();  // of the attention nothing is left: q, k, v and o itself
  for (std::size_t i = 0; i < cut.size(); ++i) CHECK((cut[i] == 0) == (i < 4));

  bench::LmModel changed = model;
  bench::LinearWeight& down = changed.layers[0].down;
  down.weight = dequantize(quantize(down.weight.view(), kProbe.spec));
  const auto expected = bench::predictions(model, text, windows, serial_executor());
  const auto score = bench::evaluate(changed, {&text, 1}, windows, expected, serial_executor());
  const double error_sq = measure(model.layers[0].down.weight.view(), down.weight.view()).error_sq;
  CHECK(cut[6] == doctest::Approx(*score.kl_divergence / error_sq).epsilon(1e-6));
}

TEST_CASE("sensitivities: the command writes a file that a budget takes") {
  const test::TinyLm tiny;
  const test::TempDir dir;
  const std::string file = dir / "sensitivity.safetensors";
  std::vector<std::string> command = {"--tokens",      tiny.tokens(), "--windows",     "1", "--window-tokens", "16",
                                      "--calibration", "2",           "--sensitivity", file};
  std::ostringstream out, err;
  CHECK(bench::run_lm(command, out, err) == exit_code(ErrorCode::Usage));
  command.insert(command.end(), {"--reference", tiny.model(), "--probe", "int3:channel,fast"});
  REQUIRE(bench::run_lm(command, out, err) == 0);
  CHECK(out.str().empty());
  const auto model = open_checkpoint(tiny.model());
  Analysis analysis;
  add_sensitivity(analysis, *open_checkpoint(file));
  CHECK(analysis.sensitivity.size() == 7);
  Recipe recipe{.min_numel = 0};
  recipe.budget = parse_budget("5bpw");
  recipe.weigh_tensors = true;
  recipe.candidates = {parse_spec("int4:channel"), parse_spec("int8")};
  const Source source = describe(*model);
  analysis.rates = measure_rates(*model, source, recipe, analysis, serial_executor());
  CHECK_NOTHROW(make_plan(source, recipe, analysis));
}

TEST_CASE("the language model: a mix of 4.5 bits diverges less than any encoding of 4.5 bits") {
  if (test::kAddressSanitizer) {
    MESSAGE("skipped: minutes with AddressSanitizer");
    return;
  }
  const auto lm = test::fixture("lm");
  if (!lm) return;
  const test::TempDir dir;
  const auto input = open_checkpoint(*lm / "model");
  const auto executor = make_thread_executor(usable_processors());
  const Source source = describe(*input);
  // mq-bench-lm --tokens tokens.safetensors --reference model --sensitivity OUT: of the calibration text, not of the
  // one that is evaluated.
  Analysis analysis;
  add_sensitivity(analysis, *open_checkpoint(test::data_dir() / "lm" / "sensitivity.safetensors"));
  analysis.gguf = std::make_shared<const GgufModel>(gguf_model(*input, source));
  Recipe recipe{.weigh_tensors = true, .format = "gguf"};
  recipe.budget = parse_budget("4.5bpw");
  analysis.rates = measure_rates(*input, source, recipe, analysis, *executor);
  const fs::path mix = dir / "mix.gguf";
  convert(*input, make_plan(source, recipe, analysis), *create_checkpoint(mix, "gguf"), *executor);

  const Divergence divergence(*lm, {2, 256});
  const double mixed = divergence.of_file(mix);
  for (const char* scheme : {"q4_k", "iq4_nl", "q4_0", "int4:g32", "int4:g32:signed", "nvfp4", "nf4:g32"}) {
    CAPTURE(scheme);
    CHECK(mixed < 0.9 * divergence.of_scheme(scheme));
  }
}
