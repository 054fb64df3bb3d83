// The evaluator of language models: against what PyTorch computes from the same weights, by its command line, and what
// it refuses.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "bench/lm_command.hpp"
#include "bench/lm_eval.hpp"
#include "bench/lm_forward.hpp"
#include "bench/lm_model.hpp"
#include "mq/mq.hpp"
#include "src/json.hpp"
#include "tests/lm/tiny_lm.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using mq::test::contains;
namespace fs = std::filesystem;

namespace {

// What PyTorch computed: the logits after the first tokens of some sequences.
struct PyTorchLogits {
  bench::LmModel model;
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<Eigen::MatrixXf> logits;  // [vocab, tokens]
};

PyTorchLogits pytorch_logits(const fs::path& lm) {
  PyTorchLogits result{.model = bench::load_lm(lm / "model")};
  const auto file = open_checkpoint(lm / "reference_logits.safetensors");
  const Tensor logits = file->read(*file->find("logits_first_32"));
  const Tensor ids = file->read(*file->find("input_ids"));
  const auto positions = logits.shape()[1], vocab = logits.shape()[2];
  for (std::int64_t s = 0; s < logits.shape()[0]; ++s) {
    const std::int32_t* first = ids.as<std::int32_t>().data() + s * ids.shape()[1];
    result.tokens.emplace_back(first, first + positions);
    result.logits.push_back(
        Eigen::Map<const Eigen::MatrixXf>(logits.as<float>().data() + s * positions * vocab, vocab, positions));
  }
  return result;
}

struct Outcome {
  int exit_code;
  std::string out, err;
};

Outcome run(const std::vector<std::string>& arguments) {
  std::ostringstream out, err;
  const int code = bench::run_lm(arguments, out, err);
  return {code, out.str(), err.str()};
}

// The rows of the report on a tiny model and its texts.
std::vector<json::Value> rows(const test::TinyLm& tiny, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--tokens", tiny.tokens(), "--windows", "3", "--window-tokens", "20", "--json"});
  const Outcome outcome = run(arguments);
  REQUIRE_MESSAGE(outcome.exit_code == 0, outcome.err);
  return *json::parse(outcome.out, "report").find("rows")->as_array();
}

double number(const json::Value& row, const char* key) {
  return *row.find(key)->as_double();
}

double perplexity(const json::Value& row, const char* text) {
  return number(*row.find("perplexity"), text);
}

// The exit code and the message for a model as config.json tells it.
Outcome run_with_config(const std::string& config) {
  const test::TinyLm tiny;
  test::write_file(fs::path(tiny.model()) / "config.json", config);
  return run({tiny.model(), "--tokens", tiny.tokens(), "--windows", "1", "--window-tokens", "8"});
}

}  // namespace

TEST_CASE("lm: the logits are those that PyTorch computes") {
  const auto lm = test::fixture("lm");
  if (!lm) return;
  const PyTorchLogits expected = pytorch_logits(*lm);
  REQUIRE(expected.tokens.size() == 2);
  for (std::size_t s = 0; s < expected.tokens.size(); ++s) {
    CAPTURE(s);
    const Eigen::MatrixXf found = bench::logits(expected.model, expected.tokens[s]);
    CHECK(expected.logits[s].maxCoeff() > 5.0F);
    CHECK((found - expected.logits[s]).cwiseAbs().maxCoeff() < 1e-4F);
  }
}

TEST_CASE("lm: perplexity and divergence follow from PyTorch's logits") {
  const auto lm = test::fixture("lm");
  if (!lm) return;
  const PyTorchLogits expected = pytorch_logits(*lm);
  const bench::Windows windows{static_cast<std::int64_t>(expected.tokens.size()),
                               static_cast<std::int64_t>(expected.tokens.front().size())};
  bench::Text text{"reference", {}};
  bench::Predictions reference;
  double loss = 0;
  for (std::size_t s = 0; s < expected.tokens.size(); ++s) {
    const auto& tokens = expected.tokens[s];
    text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
    Eigen::MatrixXd said = expected.logits[s].cast<double>().leftCols(windows.tokens - 1);
    said.rowwise() -= said.array().exp().colwise().sum().log().matrix();
    for (std::size_t t = 1; t < tokens.size(); ++t) loss -= said(tokens[t], static_cast<Eigen::Index>(t) - 1);
    reference.push_back(said.cast<float>());
  }
  loss /= static_cast<double>(windows.count * (windows.tokens - 1));
  const bench::Score score = bench::evaluate(expected.model, {&text, 1}, windows, reference, serial_executor());
  REQUIRE(score.perplexity.size() == 1);
  CHECK(score.perplexity[0] == doctest::Approx(std::exp(loss)).epsilon(1e-5));
  CHECK(std::abs(score.kl_divergence.value()) < 1e-6);

  // p = softmax(x) against q = softmax(x / 2), by the definition.
  double divergence = 0;
  for (Eigen::MatrixXf& said : reference) {
    const Eigen::ArrayXXd p = said.cast<double>().array().exp();
    Eigen::ArrayXXd flat = said.cast<double>().array() / 2;
    flat.rowwise() -= flat.exp().colwise().sum().log();
    divergence += (flat.exp() * (flat - p.log())).sum();
    said = flat.matrix().cast<float>();
  }
  divergence /= static_cast<double>(windows.count * (windows.tokens - 1));
  const bench::Score flat = bench::evaluate(expected.model, {&text, 1}, windows, reference, serial_executor());
  CHECK(divergence > 0.1);
  CHECK(flat.kl_divergence.value() == doctest::Approx(divergence).epsilon(1e-4));
}

TEST_CASE("lm: a model that mq wrote is worth what its encoding is worth in memory") {
  const test::TinyLm tiny;
  const test::TempDir dir;
  const std::string out = dir / "out";
  {
    const auto input = open_checkpoint(tiny.model());
    Recipe recipe;
    recipe.scheme = parse_spec("int4:g16:asym");
    recipe.scale_dtype = DType::Float16;
    recipe.format = "hf_safetensors";
    const auto writer = create_checkpoint(out, recipe.format, {.sync = false});
    convert(*input, make_plan(describe(*input), recipe), *writer, serial_executor());
  }
  const auto found = rows(tiny, {"--reference", tiny.model(), out, "--scheme", "int4:g16:asym@f16,search", tiny.model()});
  REQUIRE(found.size() == 3);
  for (const char* text : {"mixed", "wiki"}) {
    CHECK(perplexity(found[0], text) == perplexity(found[1], text));
    CHECK(perplexity(found[0], text) != perplexity(found[2], text));
  }
  for (const char* key : {"kl_divergence", "sqnr_db"}) CHECK(number(found[0], key) == number(found[1], key));
  CHECK(number(found[1], "kl_divergence") > 1e-6);
  CHECK(std::abs(number(found[2], "kl_divergence")) < 1e-7);
  CHECK(number(found[1], "sqnr_db") > 15.0);
  CHECK(number(found[1], "bits_per_weight") == doctest::Approx(4 + (16 + 4) / 16.0));
  CHECK(number(found[2], "bits_per_weight") == 32.0);
}

TEST_CASE("lm: figures do not depend on the number of threads, nor does a row on the others") {
  const test::TinyLm tiny;
  const auto one = rows(tiny, {"--reference", tiny.model(), "--scheme", "int8", "--threads", "1"});
  const auto three = rows(tiny, {"--reference", tiny.model(), tiny.model(), "--scheme", "int8", "--threads", "3"});
  CHECK(perplexity(one[0], "mixed") == perplexity(three[1], "mixed"));
  CHECK(perplexity(one[0], "wiki") == perplexity(three[1], "wiki"));
  CHECK(number(one[0], "kl_divergence") == number(three[1], "kl_divergence"));
}

TEST_CASE("lm: the table has a line for each model, the JSON report says what was measured") {
  const test::TinyLm tiny;
  const std::vector<std::string> arguments = {tiny.model(),      "--tokens", tiny.tokens(), "--windows", "2",
                                              "--window-tokens", "8"};
  const Outcome table = run(arguments);
  REQUIRE(table.exit_code == 0);
  CHECK(contains(table.out, "| weights | bpw | mixed | wiki | KLD | SQNR dB |\n"));
  CHECK(contains(table.out, "| " + tiny.model() + " | 32.000 | "));
  CHECK(contains(table.out, " | – | – |\n"));

  std::vector<std::string> with_json = arguments;
  with_json.emplace_back("--json");
  const Outcome report = run(with_json);
  REQUIRE(report.exit_code == 0);
  const json::Value value = json::parse(report.out, "report");
  CHECK(*value.find("windows")->as_int() == 2);
  CHECK(*value.find("window_tokens")->as_int() == 8);
  CHECK(value.find("kl_windows") == nullptr);
  CHECK(value.find("rows")->as_array()->at(0).find("kl_divergence") == nullptr);

  with_json.insert(with_json.end(), {"--reference", tiny.model(), "--kl-windows", "3"});
  const Outcome compared = run(with_json);
  REQUIRE(compared.exit_code == 0);
  CHECK(*json::parse(compared.out, "report").find("kl_windows")->as_int() == 2);  // no more than there are windows
}

TEST_CASE("lm: models of other architectures are refused, naming what differs") {
  const auto refused = [](const std::string& members, const std::string& named) {
    CAPTURE(members);
    const Outcome outcome = run_with_config(test::TinyLm::config(members));
    CHECK(outcome.exit_code == exit_code(ErrorCode::Unsupported));
    CHECK_MESSAGE(contains(outcome.err, named), outcome.err);
    CHECK(outcome.out.empty());
  };
  refused(R"("hidden_act": "gelu")", "hidden_act");
  refused(R"("attention_bias": true)", "attention_bias");
  refused(R"("rope_scaling": {"type": "linear", "factor": 2.0})", "rope_scaling");
  refused(R"("rope_parameters": {"rope_type": "yarn"})", "rope_parameters.rope_type");
  refused(R"("num_key_value_heads": 4)", "num_key_value_heads");
  refused(R"("head_dim": 0)", "head_dim");
  refused(R"("rms_norm_eps": "small")", "rms_norm_eps");
  refused(R"("dtype": "int8")", "dtype");
  // What the configuration says and what the weights are.
  refused(R"("head_dim": 8)", "model.layers.0.self_attn.q_proj.weight");
  refused(R"("tie_word_embeddings": false)", "lm_head.weight");
  const Outcome gpt2 = run_with_config(R"({"model_type": "gpt2", "n_layer": 1})");
  CHECK(gpt2.exit_code == exit_code(ErrorCode::Unsupported));
  CHECK_MESSAGE(contains(gpt2.err, "model_type"), gpt2.err);
  CHECK_MESSAGE(contains(gpt2.err, "gpt2"), gpt2.err);
}

TEST_CASE("lm: a tensor that has no place in the layers, and weights without a configuration, are refused") {
  const test::TinyLm odd({"model.layers.0.self_attn.q_proj.bias"});
  const std::string bias = test::message_of([&] { bench::load_lm(odd.model()); });
  CHECK_MESSAGE(contains(bias, "q_proj.bias"), bias);

  const test::TinyLm tiny;
  fs::remove(fs::path(tiny.model()) / "config.json");
  const std::string none = test::message_of([&] { bench::load_lm(tiny.model()); });
  CHECK_MESSAGE(contains(none, "config.json"), none);
  CHECK(bench::load_lm(tiny.model(), bench::parse_lm_config(test::TinyLm::config(), "config.json")).layers.size() == 1);
}

TEST_CASE("lm: a command line that cannot be run is refused, naming the option") {
  const test::TinyLm tiny;
  const auto refused = [](std::vector<std::string> arguments, const std::string& named) {
    CAPTURE(named);
    const Outcome outcome = run(arguments);
    CHECK(outcome.exit_code == exit_code(ErrorCode::Usage));
    CHECK_MESSAGE(contains(outcome.err, named), outcome.err);
  };
  refused({tiny.model()}, "--tokens");
  refused({"--tokens", tiny.tokens()}, "MODEL");
  refused({"--tokens"}, "--tokens");
  refused({"--tokens", tiny.tokens(), "--scheme", "int8"}, "--reference");
  refused({"--tokens", tiny.tokens(), "--reference", tiny.model(), "--scheme", "int8@maybe"}, "int8@maybe");
  refused({"--tokens", tiny.tokens(), "--reference", tiny.model(), "--scheme", "int99"}, "int99");
  refused({"--tokens", tiny.tokens(), "--reference", tiny.model(), "--scheme", "int4,hard"}, "one of fast, search, max");
  refused({"--tokens", tiny.tokens(), "--reference", tiny.model(), "--scheme", "int4,fast,mae"}, "the objective mse, magnitude");
  refused({"--tokens", tiny.tokens(), "--reference", tiny.model(), "--scheme", "int4:g16,search,importance", "--windows",
           "1", "--window-tokens", "32"},
          "importance");
  refused({"--windows", "0"}, "--windows");
  refused({"--window-tokens", "1"}, "--window-tokens");
  refused({"--wndows", "1"}, "--wndows");
  refused({tiny.model(), "--tokens", tiny.tokens()}, "eval.mixed");  // shorter than 400 windows
  refused({tiny.model(), "--tokens", tiny.model()}, "eval.mixed");   // holds no text
  refused({tiny.model(), "--tokens", tiny.tokens(), "--windows", "1", "--window-tokens", "65"}, "64");
  const Outcome help = run({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(contains(help.out, "--scheme"));
}
