// GGUF files: types of mixes, sources that are GGUF files, runs that are cut short or use what is there.
#include <doctest/doctest.h>

#include "formats/gguf_value.hpp"
#include "mq/mq.hpp"
#include "tests/support/llama_gguf.hpp"

using namespace mq;
using namespace mq::test;

TEST_CASE("gguf: --like takes names, key-values and vocabulary from another file") {
  const test::TempDir dir;
  LlamaFolder().write(dir / "model");
  written(dir / "model", recipe("q8_0"), dir / "base.gguf");
  LlamaFolder bare;
  bare.tokenizer = bare.tokenizer_config = nullptr;
  bare.write(dir / "bare");
  const auto file = written(dir / "bare", recipe("q8_0"), dir / "m.gguf", serial_executor(), dir / "base.gguf");
  CHECK(test::read_file(dir / "m.gguf") == test::read_file(dir / "base.gguf"));
  // A file of floats with llama.cpp's names.
  written(dir / "base.gguf", {.task = Recipe::Task::Dequantize, .format = "safetensors"}, dir / "floats.safetensors");
  const auto again =
      written(dir / "floats.safetensors", recipe("q8_0"), dir / "n.gguf", serial_executor(), dir / "base.gguf");
  CHECK(names_of(*again) == names_of(*file));
  bare.blocks = 1;
  bare.write(dir / "short");
  const auto input = open_checkpoint(dir / "short");
  CHECK(has(test::message_of([&] { plan_of(*input, recipe("q8_0"), dir / "base.gguf"); }),
            "has a tensor that the source lacks"));
  CHECK(has(test::message_of([&] { plan_of(*input, recipe("q8_0"), dir / "model"); }), "not a GGUF file"));
}

TEST_CASE("gguf: a GGUF file written again keeps its key-values and its vocabulary") {
  const test::TempDir dir;
  written(LlamaFolder().write(dir / "model"), recipe("q8_0"), dir / "a.gguf");
  written(dir / "a.gguf", kCopy, dir / "b.gguf");
  CHECK(test::read_file(dir / "a.gguf") == test::read_file(dir / "b.gguf"));
  const auto smaller = written(dir / "a.gguf", recipe("q4_0"), dir / "c.gguf");
  CHECK(dtype_of(*smaller, "blk.0.ffn_up.weight") == DType::Q4_0);
  const std::vector<StoredValue> values = formats::read_gguf_values(dir / "c.gguf", {});
  CHECK(*formats::find_value(values, "general.file_type") == formats::gguf_value("general.file_type", 2u));
  CHECK(formats::find_value(values, "tokenizer.ggml.merges") != nullptr);
}

TEST_CASE("gguf: rows that are not whole blocks are an error for a scheme, or kept if asked") {
  const test::TempDir dir;
  LlamaFolder folder;
  folder.inner = 96;
  const auto input = open_checkpoint(folder.write(dir / "model"));
  const std::string message = test::message_of([&] { plan_of(*input, recipe("q4_k")); });
  CHECK(has(message, "model.layers.1.mlp.down_proj.weight: rows of 96 by 256, fits: q8_0"));
  Recipe keeping = recipe("q4_k");
  keeping.if_indivisible = IfIndivisible::Keep;
  const Plan plan = plan_of(*input, keeping);
  CHECK(step(plan, "model.layers.1.mlp.down_proj.weight").reason == "kept: 256 does not divide 96");
  CHECK(step(plan, "model.layers.1.mlp.up_proj.weight").quantizes());
}

TEST_CASE("gguf: a plan needs to know what the model is, and what is for GGUF goes nowhere else") {
  const test::TempDir dir;
  const auto input = open_checkpoint(LlamaFolder().write(dir / "model"));
  CHECK(has(test::message_of([&] { make_plan(describe(*input), recipe("q8_0")); }), "Analysis::gguf"));
  CHECK(has(test::message_of([&] { make_plan(describe(*input), {.mix = "q4_k_m"}); }), "types of GGUF files"));
  CHECK(has(test::message_of([&] { make_plan(describe(*input), {.dialect = "gguf"}); }), "that of GGUF files"));
  CHECK(has(test::message_of([&] { plan_of(*input, recipe("int8")); }), "q8_0 is near"));
  Recipe typed = recipe("q8_0");
  typed.scale_dtype = DType::Float32;
  CHECK(has(test::message_of([&] { plan_of(*input, typed); }), "scales of a type of their own"));
}

TEST_CASE("gguf: a mix decides what no pattern does") {
  const test::TempDir dir;
  const auto input = open_checkpoint(LlamaFolder().write(dir / "model"));
  Recipe r = mix("q4_k_m");
  r.rules = {parse_rule("*.1.mlp.up_proj.weight=q8_0")};
  r.exclude = {"lm_head.weight"};
  const Plan plan = plan_of(*input, r);
  CHECK(step(plan, "model.layers.1.mlp.up_proj.weight").spec->element == DType::Q8_0);
  CHECK(step(plan, "lm_head.weight").action == Step::Action::Copy);
  CHECK(step(plan, "model.embed_tokens.weight").spec->element == DType::Q4_K);
  CHECK(step(plan, "model.layers.0.mlp.up_proj.weight").spec->element == DType::Q4_K);
  CHECK(step(plan, "model.norm.weight").spec->element == DType::Float32);
  CHECK(plan.loads_in == std::vector<std::string>{"llama.cpp", "transformers"});
  r.include = {"model.embed_tokens.weight"};
  CHECK(has(test::message_of([&] { plan_of(*input, r); }), "a mix has a type for every tensor"));
  LlamaFolder narrow;
  narrow.inner = 96;
  const auto other = open_checkpoint(narrow.write(dir / "narrow"));
  CHECK(step(plan_of(*other, mix("q4_k_s")), "model.layers.1.mlp.down_proj.weight").reason ==
        "q4_k_s, q5_0 instead: 256 does not divide 96");
}

TEST_CASE("gguf: a run that was cancelled goes on, and ends with the same bytes") {
  const test::TempDir dir;
  written(LlamaFolder().write(dir / "model"), mix("q4_k_m"), dir / "whole.gguf");
  const auto input = open_checkpoint(dir / "model");
  const Plan plan = plan_of(*input, mix("q4_k_m"));
  int calls = 0;
  ConvertOptions options{.progress = [&](const Progress&) { return ++calls != 12; }, .journal_bytes = 1};
  Report report;
  for (int run = 0; run < 2; ++run) {
    const auto writer = create_checkpoint(dir / "m.gguf", "gguf", {.sync = false, .resume = true});
    const auto code = test::code_of([&] { report = convert(*input, plan, *writer, serial_executor(), options); });
    CHECK(code == (run == 0 ? std::optional(ErrorCode::Cancelled) : std::nullopt));
    CHECK(std::filesystem::exists(dir / "m.gguf") == (run == 1));
  }
  CHECK(report.resumed > 5);
  CHECK(test::read_file(dir / "m.gguf") == test::read_file(dir / "whole.gguf"));
}

TEST_CASE("gguf: what an earlier output has is copied, in the order in which it lies there") {
  const test::TempDir dir;
  written(LlamaFolder().write(dir / "model"), recipe("q8_0"), dir / "old.gguf");
  const auto input = open_checkpoint(dir / "model");
  const auto old = open_checkpoint(dir / "old.gguf");
  const Plan plan = plan_of(*input, recipe("q8_0"));
  const auto writer = create_checkpoint(dir / "new.gguf", "gguf", {.sync = false});
  ConvertOptions options;
  options.reuse = old.get();
  CHECK(convert(*input, plan, *writer, serial_executor(), options).reused == 14);
  CHECK(test::read_file(dir / "new.gguf") == test::read_file(dir / "old.gguf"));
}

TEST_CASE("gguf: importance may have llama.cpp's names, and none of embedding and head for a mix") {
  const TempDir dir;
  const auto input = open_checkpoint(LlamaFolder().write(dir / "model"));
  Source source = describe(*input);
  Analysis analysis;
  analysis.gguf = std::make_shared<const GgufModel>(gguf_model(*input, source));
  for (std::size_t i = 0; i < source.tensors.size(); ++i) {
    const Shape& shape = source.tensors[i].info.shape;
    const std::string name = analysis.gguf->tensors[i].name;
    if (!name.starts_with("blk.") || shape.size() < 2) continue;
    std::vector<float> columns(static_cast<std::size_t>(shape.back()), 1.0f);
    columns[3] = 100;
    analysis.importance.emplace(name, std::make_shared<const std::vector<float>>(std::move(columns)));
  }
  Recipe r = mix("q4_k_m");
  r.objective = Objective::Importance;
  const Plan plan = make_plan(source, r, analysis);
  CHECK(step(plan, "model.layers.0.mlp.up_proj.weight").importance != nullptr);
  CHECK(has(step(plan, "lm_head.weight").reason, "without importance"));
  const auto writer = create_checkpoint(dir / "m.gguf", "gguf", {.sync = false});
  convert(*input, plan, *writer, serial_executor());
  r = recipe("q4_k");
  r.objective = Objective::Importance;
  analysis.importance.erase("blk.1.ffn_up.weight");
  CHECK(has(message_of([&] { make_plan(source, r, analysis); }), "model.layers.1.mlp.up_proj.weight"));
}

TEST_CASE("gguf: a budget chooses among ggml's blocks") {
  const TempDir dir;
  const auto input = open_checkpoint(LlamaFolder().write(dir / "model"));
  Source source = describe(*input);
  Analysis analysis;
  analysis.gguf = std::make_shared<const GgufModel>(gguf_model(*input, source));
  Recipe r{.format = "gguf"};
  r.budget = parse_budget("4.6bpw");
  r.effort = Effort::Fast;
  analysis.rates = measure_rates(*input, source, r, analysis, serial_executor());
  const Plan plan = make_plan(source, r, analysis);
  double bytes = 0, numel = 0;
  for (const Step& s : plan.steps) {
    if (!s.by_scheme) continue;
    CHECK(s.spec->codec == "ggml");
    bytes += static_cast<double>(s.output_bytes);
    numel += static_cast<double>(source.tensors[s.inputs.front()].info.numel());
  }
  CHECK(8 * bytes / numel <= 4.6);
  CHECK(8 * bytes / numel > 4);
  r.mix = "q4_k_m";
  CHECK(has(message_of([&] { make_plan(source, r, analysis); }), "exclude each other"));
}

TEST_CASE("gguf: the memory bound knows of the search's scratch and of the vocabulary") {
  const test::TempDir dir;
  const auto input = open_checkpoint(LlamaFolder().write(dir / "model"));
  Recipe r = recipe("q4_k");
  const MemoryBound searched = memory_bound(plan_of(*input, r));
  r.effort = Effort::Fast;
  CHECK(searched.thread_bytes > memory_bound(plan_of(*input, r)).thread_bytes);
  LlamaFolder wordy;
  wordy.tokenizer.set("comment", std::string(1 << 20, 'x'));
  const auto other = open_checkpoint(wordy.write(dir / "wordy"));
  CHECK(memory_bound(plan_of(*other, r)).listing_bytes > searched.listing_bytes + (5 << 20));
}

TEST_CASE("gguf: the same bytes with any number of threads") {
  const test::TempDir dir;
  LlamaFolder().write(dir / "model");
  std::string first;
  for (const int threads : {1, 2, 7}) {
    CAPTURE(threads);
    const auto executor = make_thread_executor(threads);
    written(dir / "model", mix("q3_k_m"), dir / "m.gguf", *executor);
    const std::string bytes = test::read_file(dir / "m.gguf");
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  }
}
