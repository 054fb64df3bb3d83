#include "mq/memory.hpp"

#include <doctest/doctest.h>

#include <cstring>

#include "mq/mq.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;

namespace {

Tensor tensor_of(const std::vector<float>& values, Shape shape) {
  Buffer bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return {DType::Float32, std::move(shape), std::move(bytes)};
}

std::unique_ptr<Checkpoint> two_layers() {
  std::vector<NamedTensor> tensors;
  tensors.push_back({"a.weight", tensor_of(mq::test::weights(64 * 96), {64, 96})});
  tensors.push_back({"a.bias", tensor_of(mq::test::weights(64, 2), {64})});
  return make_checkpoint(std::move(tensors), {{"made by", "a test"}});
}

}  // namespace

TEST_CASE("memory: tensors go in and come out, with the report of the run") {
  const auto checkpoint = two_layers();
  const Plan plan = make_plan(describe(*checkpoint), {.scheme = parse_spec("int8")});
  const auto writer = make_memory_writer();
  const Report report = convert(*checkpoint, plan, *writer, serial_executor());
  REQUIRE(writer->tensors().size() == plan.layout.tensors.size());
  CHECK(find_string(writer->metadata(), "made by") != nullptr);
  CHECK(writer->texts().front().first == "quantization_metadata.json");
  CHECK(report.output_bytes == writer->size_bytes());

  std::vector<NamedTensor> again = writer->tensors();
  const auto quantized = make_checkpoint(std::move(again), writer->metadata());
  const Source source = describe(*quantized);
  const Tensor values = read_float(*quantized, source.tensors[source.tensors[0].info.name == "a.weight" ? 0 : 1]);
  const Tensor original = checkpoint->Checkpoint::read(0);
  CHECK(measure(original.view(), values.view()) == report.total);
}

TEST_CASE("memory: the null writer checks what it is given and keeps nothing") {
  const auto checkpoint = two_layers();
  const Plan plan = make_plan(describe(*checkpoint), {.scheme = parse_spec("int8")});
  const auto nothing = make_null_writer();
  const auto memory = make_memory_writer();
  const Report report = convert(*checkpoint, plan, *nothing, serial_executor());
  CHECK(report.total == convert(*checkpoint, plan, *memory, serial_executor()).total);
  CHECK(nothing->size_bytes() == memory->size_bytes());

  const auto unfinished = make_null_writer();
  unfinished->begin(plan.layout);
  CHECK(mq::test::code_of([&] { unfinished->finish(); }) == ErrorCode::Usage);
  CHECK(mq::test::code_of([&] { unfinished->begin(plan.layout); }) == ErrorCode::Usage);
}

TEST_CASE("memory: a name that occurs twice, a range outside a tensor") {
  std::vector<NamedTensor> tensors;
  tensors.push_back({"a", tensor_of({1, 2}, {2})});
  tensors.push_back({"a", tensor_of({1, 2}, {2})});
  CHECK(mq::test::code_of([&] { make_checkpoint(tensors); }) == ErrorCode::Usage);
  std::array<std::byte, 8> out{};
  CHECK(mq::test::code_of([&] { two_layers()->read(1, 63, 2, out); }) == ErrorCode::Usage);
}

TEST_CASE("memory: a callback that says stop cancels, and the sink has nothing") {
  const auto checkpoint = two_layers();
  const Plan plan = make_plan(describe(*checkpoint), {.scheme = parse_spec("int8")});
  const auto writer = make_memory_writer();
  const ConvertOptions options{.progress = [](const Progress&) { return false; }};
  CHECK(mq::test::code_of([&] { convert(*checkpoint, plan, *writer, serial_executor(), options); }) ==
        ErrorCode::Cancelled);
  CHECK(writer->tensors().empty());
}
