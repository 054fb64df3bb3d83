// GGUF files made of small models.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/llama_folder.hpp"

namespace mq::test {

inline Recipe recipe(const char* scheme) {
  Recipe r{.format = "gguf"};
  r.scheme = parse_spec(scheme);
  return r;
}
inline Recipe mix(const char* name) {
  Recipe r{.mix = name, .format = "gguf"};
  return r;
}
inline const Recipe kCopy{.task = Recipe::Task::Copy, .format = "gguf"};

inline Plan plan_of(const Checkpoint& checkpoint, const Recipe& r, const std::filesystem::path& like = {}) {
  Source source = describe(checkpoint, r.task == Recipe::Task::Copy ? Recognise::Nothing : Recognise::Quantized);
  Analysis analysis;
  analysis.gguf = std::make_shared<const GgufModel>(gguf_model(checkpoint, source, like));
  return make_plan(std::move(source), r, analysis);
}

// Writes the file, checks that it is as large as planned, and opens it.
inline std::unique_ptr<Checkpoint> written(const std::filesystem::path& folder, const Recipe& r,
                                           const std::filesystem::path& out, Executor& executor = serial_executor(),
                                           const std::filesystem::path& like = {}) {
  const auto input = open_checkpoint(folder);
  const Plan plan = plan_of(*input, r, like);
  const auto writer = create_checkpoint(out, r.format, {.overwrite = true, .sync = false});
  const Report report = convert(*input, plan, *writer, executor);
  CHECK(layout_size_bytes(plan.layout, r.format) == static_cast<std::int64_t>(std::filesystem::file_size(out)));
  CHECK(report.output_bytes <= layout_size_bytes(plan.layout, r.format) + plan.layout.later_bytes);
  return open_checkpoint(out);
}

inline std::string refusal(const LlamaFolder& folder, const Recipe& r = kCopy) {
  const TempDir dir;
  const auto input = open_checkpoint(folder.write(dir / "model"));
  return message_of([&] { plan_of(*input, r); });
}

inline bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

inline const Step& step(const Plan& plan, std::string_view id) {
  for (const Step& s : plan.steps) {
    if (s.id == id) return s;
  }
  FAIL("no step " << id);
  return plan.steps.front();
}

inline std::vector<std::string> names_of(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const TensorInfo& tensor : checkpoint.tensors()) names.push_back(tensor.name);
  std::ranges::sort(names);
  return names;
}

inline DType dtype_of(const Checkpoint& checkpoint, const char* name) {
  return checkpoint.tensors()[*checkpoint.find(name)].dtype;
}

}  // namespace mq::test
