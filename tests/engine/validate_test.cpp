#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "mq/mq.hpp"
#include "src/json.hpp"
#include "src/validate_report.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using namespace mq::test;

namespace {

MemoryCheckpoint original() {
  MemoryCheckpoint c;
  c.add("a.weight", DType::Float32, {32, 128}, weights(32 * 128, 3));
  c.add("b.weight", DType::Float32, {64, 64}, weights(64 * 64, 4));
  c.add("norm.weight", DType::Float32, {64}, weights(64));
  return c;
}

CountingWriter quantize_to_memory(const std::string& scheme) {
  const MemoryCheckpoint c = original();
  Recipe recipe;
  recipe.scheme = parse_spec(scheme);
  CountingWriter writer;
  convert(c, make_plan(describe(c), recipe), writer, serial_executor());
  return writer;
}

// The checkpoint with some tensors changed, renamed or removed on the way.
MemoryCheckpoint edited(const MemoryCheckpoint& from,
                        const std::function<bool(TensorInfo&, std::vector<std::byte>&)>& edit) {
  MemoryCheckpoint out;
  for (std::size_t i = 0; i < from.tensors().size(); ++i) {
    TensorInfo info = from.tensors()[i];
    const Tensor tensor = from.read(i);
    std::vector<std::byte> bytes(tensor.bytes().begin(), tensor.bytes().end());
    if (edit(info, bytes)) out.add(info.name, info.dtype, info.shape, bytes);
  }
  for (const auto& [key, value] : from.metadata()) out.add_metadata(key, std::get<std::string>(value));
  return out;
}

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t index, T value) {
  std::memcpy(bytes.data() + index * sizeof value, &value, sizeof value);
}

Validation validate_serially(const Checkpoint& checkpoint) {
  return validate(checkpoint, serial_executor());
}

// The one finding there must be, as "tensor: message".
std::string only_finding(const Checkpoint& checkpoint) {
  const Validation result = validate_serially(checkpoint);
  if (result.findings.size() != 1) return std::to_string(result.findings.size()) + " findings";
  return result.findings[0].tensor + ": " + result.findings[0].message;
}

}  // namespace

TEST_CASE("what the engine writes is valid, whatever the encoding") {
  for (const char* scheme : {"int8", "int4:g32:asym", "int3:channel", "int2:g16", "uint4:g32:asym", "int8:tensor:asym",
                             "fp8_e4m3", "fp8_e5m2:tensor", "bf16", "int8+int8:token:dyn", "int4:channel=1"}) {
    CAPTURE(scheme);
    const Validation result = validate_serially(quantize_to_memory(scheme).checkpoint());
    for (const Finding& finding : result.findings) CAPTURE(finding.message);
    CHECK(result.findings.empty());
    CHECK(result.ok());
    CHECK(result.tensors == 3);
    CHECK(result.quantized == (std::string(scheme) == "bf16" ? 0 : 2));
  }
}

TEST_CASE("bad scales are counted under the name of their weight") {
  const MemoryCheckpoint good = quantize_to_memory("int8").checkpoint();
  const auto with_scale = [&](float value) {
    return edited(good, [&](TensorInfo& info, std::vector<std::byte>& bytes) {
      if (info.name == "a.weight_scale") put(bytes, 5, value);
      return true;
    });
  };
  CHECK(only_finding(with_scale(0)) == "a.weight: 1 of 32 scales are zero");
  CHECK(only_finding(with_scale(std::nanf(""))) == "a.weight: 1 of 32 scales are not finite");
  CHECK(only_finding(with_scale(-std::numeric_limits<float>::infinity())) == "a.weight: 1 of 32 scales are not finite");
  // Finite, but not what it is multiplied with.
  CHECK(only_finding(with_scale(3e38F)).starts_with("a.weight: "));
  CHECK(only_finding(with_scale(3e38F)).ends_with("decoded values are infinite"));
}

TEST_CASE("codes and zero points outside their range are counted") {
  // Four bits in bytes: eight bits could say more than the encoding has.
  const MemoryCheckpoint good = quantize_to_memory("int4:g32:asym+int8:token:dyn").checkpoint();
  const auto with = [&](const char* name, std::int8_t value) {
    return edited(good, [&](TensorInfo& info, std::vector<std::byte>& bytes) {
      if (info.name == name) put(bytes, 7, value);
      return true;
    });
  };
  CHECK(only_finding(with("a.weight", 8)) == "a.weight: 1 of 4096 codes are outside -8..7");
  CHECK(only_finding(with("a.weight", -9)) == "a.weight: 1 of 4096 codes are outside -8..7");
  CHECK(validate_serially(with("a.weight", -8)).ok());
  CHECK(only_finding(with("b.weight_zero_point", 9)) == "b.weight: 1 of 128 zero points are outside -8..7");
}

TEST_CASE("a code of fp8 that is no number is found") {
  const MemoryCheckpoint bad =
      edited(quantize_to_memory("fp8_e4m3").checkpoint(), [](TensorInfo& info, std::vector<std::byte>& bytes) {
        if (info.name == "b.weight") put(bytes, 100, std::uint8_t{0x7f});
        return true;
      });
  CHECK(only_finding(bad) == "b.weight: 1 of 4096 decoded values are NaN");
}

TEST_CASE("NaN and infinity in float tensors are failures, a mask of negative infinities is a warning") {
  std::vector<float> values = weights(64);
  const auto finding = [&](float value) {
    std::vector<float> changed = values;
    changed[10] = value;
    MemoryCheckpoint c;
    c.add("x", DType::Float32, {8, 8}, changed);
    const Validation result = validate_serially(c);
    REQUIRE(result.findings.size() == 1);
    CHECK(result.ok() == (value == -std::numeric_limits<float>::infinity()));
    return result.findings[0].message;
  };
  CHECK(finding(std::nanf("")) == "1 of 64 values are NaN");
  CHECK(finding(std::numeric_limits<float>::infinity()) == "1 of 64 values are infinite");
  CHECK(finding(-std::numeric_limits<float>::infinity()) == "1 of 64 values are -infinity (a mask?)");
}

TEST_CASE("parts that are missing, left over or of another shape are failures") {
  const MemoryCheckpoint good = quantize_to_memory("int4:g32:asym").checkpoint();
  const auto without = [&](const std::string& name) {
    return edited(good, [&](TensorInfo& info, std::vector<std::byte>&) { return info.name != name; });
  };
  for (const char* name : {"a.weight_packed", "a.weight_scale", "a.weight_zero_point", "a.weight_shape"}) {
    CAPTURE(name);
    const Validation result = validate_serially(without(name));
    CHECK(!result.ok());
    REQUIRE(!result.findings.empty());
    CHECK(result.findings[0].tensor.starts_with("a.weight"));
  }
  const MemoryCheckpoint reshaped = edited(good, [](TensorInfo& info, std::vector<std::byte>& bytes) {
    if (info.name == "a.weight_scale") {
      info.shape = {16, 4};
      bytes.resize(bytes.size() / 2);
    }
    return true;
  });
  const Validation result = validate_serially(reshaped);
  CHECK(!result.ok());
  CHECK(result.findings[0].message.find("[32, 4]") != std::string::npos);
  CHECK(result.findings[0].message.find("[16, 4]") != std::string::npos);
}

TEST_CASE("8-bit codes without scales are a failure in a quantized checkpoint") {
  MemoryCheckpoint c = quantize_to_memory("int8").checkpoint();
  c.add("c.weight", DType::Int8, {4, 4}, std::vector<std::int8_t>(16));
  CHECK(only_finding(c) == "c.weight: holds codes (int8) without scales");
}

TEST_CASE("threads do not change the findings") {
  const MemoryCheckpoint bad =
      edited(quantize_to_memory("int8").checkpoint(), [](TensorInfo& info, std::vector<std::byte>& bytes) {
        if (info.name.ends_with("_scale")) put(bytes, 1, 0.0F);
        if (info.name == "norm.weight") put(bytes, 2, std::nanf(""));
        return true;
      });
  const auto executor = make_thread_executor(4);
  const Validation serial = validate_serially(bad);
  const Validation parallel = validate(bad, *executor);
  REQUIRE(serial.findings.size() == 3);
  REQUIRE(parallel.findings.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(serial.findings[i].tensor == parallel.findings[i].tensor);
    CHECK(serial.findings[i].message == parallel.findings[i].message);
  }
}

TEST_CASE("a report names tensors and encodings, and what differs from it is a failure") {
  const CountingWriter writer = quantize_to_memory("int8");
  const MemoryCheckpoint good = writer.checkpoint();
  const QuantizationReport report = parse_report(writer.texts.at("quantization_metadata.json"), "report");
  const auto findings = [&](const Checkpoint& checkpoint) {
    std::vector<Finding> found;
    check_report(report, describe(checkpoint), found);
    return found;
  };
  CHECK(findings(good).empty());
  const MemoryCheckpoint fewer =
      edited(good, [](TensorInfo& info, std::vector<std::byte>&) { return info.name != "norm.weight"; });
  REQUIRE(findings(fewer).size() == 1);
  CHECK(findings(fewer)[0].tensor == "norm.weight");
  MemoryCheckpoint more = good;
  more.add("z", DType::Float32, {1}, weights(1));
  REQUIRE(findings(more).size() == 1);
  CHECK(findings(more)[0].tensor == "z");
  const std::vector<Finding> other = findings(quantize_to_memory("int4:g32").checkpoint());
  REQUIRE(other.size() == 2);
  CHECK(other[0].message == "the report gives int8:channel=0:sym, found int4:g32:sym");
  CHECK(findings(original()).size() == 2);
}

TEST_CASE("a narrow encoding that the report promises has no code of its most negative value") {
  const TempDir dir;
  const CountingWriter writer = quantize_to_memory("int8");
  const MemoryCheckpoint bad = edited(writer.checkpoint(), [](TensorInfo& info, std::vector<std::byte>& bytes) {
    if (info.name == "a.weight_packed") put(bytes, 3, std::uint8_t{0});
    return true;
  });
  const std::filesystem::path file = dir / "m.safetensors";
  std::vector<NamedBytes> tensors;
  for (const NamedBytes& tensor : read_checkpoint(bad)) tensors.push_back(tensor);
  write_checkpoint(file, "safetensors", tensors, bad.metadata());
  CHECK(validate_serially(*open_checkpoint(file)).ok());
  write_file(file.string() + ".quantization_metadata.json", writer.texts.at("quantization_metadata.json"));
  CHECK(only_finding(*open_checkpoint(file)) == "a.weight: 1 of 4096 codes are outside -127..127");
}

TEST_CASE("a report that is broken is a failure, one of a newer schema is refused with both numbers") {
  const TempDir dir;
  const std::filesystem::path file = dir / "m.safetensors";
  write_checkpoint(file, "safetensors", {sample("a", DType::Int8, {4})});
  const auto checkpoint = open_checkpoint(file);
  const std::string report = file.string() + ".quantization_metadata.json";
  for (const char* text : {"{", "[]", "{}", R"({"schema_version": "1"})", R"({"schema_version": 1})",
                           R"({"schema_version": 1, "tensors": [{}]})",
                           R"({"schema_version": 1, "tensors": [{"name": "a", "action": "quantize", "shape": [4]}]})",
                           R"({"schema_version": 1, "tensors": [{"name": "a", "action": "quantize", "shape": [4],
                               "spec": "int99"}]})"}) {
    CAPTURE(text);
    write_file(report, text);
    const Validation result = validate_serially(*checkpoint);
    CHECK(result.findings.size() == 1);
    CHECK(!result.ok());
  }
  write_file(report, R"({"schema_version": 2, "tensors": "something new"})");
  const auto error = error_of([&] { validate_serially(*checkpoint); });
  REQUIRE(error.has_value());
  CHECK(error->code() == ErrorCode::Unsupported);
  CHECK(error->details().expected == "schema_version 1 or older");
  CHECK(error->details().found == "2");
}

TEST_CASE("a checkpoint of another tool without a report is held against its config alone") {
  // W4A16 as llm-compressor writes it: a group of a scheme of its own for a module, everything else ignored.
  MemoryCheckpoint c;
  c.add("m.weight_packed", DType::Int32, {2, 4}, std::vector<std::int32_t>(8, 0x12345678));
  c.add("m.weight_scale", DType::Float32, {2, 1}, std::vector<float>{0.5F, 0.25F});
  c.add("m.weight_shape", DType::Int64, {2}, std::vector<std::int64_t>{2, 32});
  c.add("m.input_scale", DType::Float32, {1}, std::vector<float>{1});
  c.add_metadata("quantization_config", R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
    "quantization_status": "compressed", "ignore": ["lm_head"], "config_groups": {"group_0": {"targets": ["Linear"],
    "weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group", "group_size": 32}}}})");
  const Validation result = validate_serially(c);
  CHECK(result.findings.empty());
  CHECK(result.quantized == 1);
  CHECK(result.tensors == 2);
}
