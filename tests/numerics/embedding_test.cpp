// Embeddings: rows of the decoded table, and what is refused.
#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "mq/quantized_embedding.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/text.hpp"

using namespace mq;
using mq::test::contains;
using mq::test::gauss_weights;
using mq::test::view_of;

TEST_CASE("Embedding: rows are those of the decoded tensor, in the order of the indices") {
  const std::unique_ptr<Executor> threads = make_thread_executor(3);
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 200; ++i) ids.push_back(i * 7 % 20);
  for (const char* spec : {"int8", "int8:asym", "int4:g32", "int3:g32:asym", "nf4:g32:dq", "fp8_e4m3:b4x16", "q4_k",
                           "int8:channel=1", "bf16", "uint8:tensor:asym"}) {
    CAPTURE(spec);
    const QuantizedTensor q = quantize(view_of(gauss_weights(20 * 256, 1), Shape{20, 256}), parse_spec(spec));
    const QuantizedEmbedding embedding(q);
    CHECK(embedding.rows() == 20);
    CHECK(embedding.dim() == 256);
    const Tensor values = dequantize(q);
    const std::span<const float> all = values.as<float>();
    std::vector<float> y(ids.size() * 256), expected;
    for (const std::int64_t id : ids)
      expected.insert(expected.end(), all.begin() + id * 256, all.begin() + (id + 1) * 256);
    embedding.forward(ids, y);
    CHECK(y == expected);
    std::ranges::fill(y, 0.0f);
    embedding.forward(ids, y, {.executor = threads.get()});
    CHECK(y == expected);
  }
}

TEST_CASE("Embedding: an index out of range is refused by its place and value, before anything is written") {
  const QuantizedEmbedding embedding(view_of(gauss_weights(20 * 4, 1), Shape{20, 4}), parse_spec("int8"));
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{20}, std::numeric_limits<std::int64_t>::min()}) {
    const std::vector<std::int64_t> ids = {3, bad};
    std::vector<float> y(8, 5.0f);
    const std::string message = test::message_of([&] { embedding.forward(ids, y); });
    CHECK(contains(message, "index 1"));
    CHECK(contains(message, "0 to 19"));
    CHECK(contains(message, std::to_string(bad)));
    CHECK(y == std::vector<float>(8, 5.0f));
  }
  std::vector<float> y(7);
  CHECK(contains(test::message_of([&] { embedding.forward(std::vector<std::int64_t>{1, 2}, y); }), "2 rows of 4"));
  embedding.forward({}, {});
}

TEST_CASE("Embedding: tables that are none are refused") {
  const auto tensor = [](DType dtype, Shape shape) {
    Buffer bytes(static_cast<std::size_t>(bytes_of(dtype, numel(shape))));
    std::memset(bytes.data(), 0, bytes.size());
    return Tensor(dtype, std::move(shape), std::move(bytes));
  };
  const Tensor codes = tensor(DType::UInt8, {3, 4}), numbers = tensor(DType::Float32, {3});
  CHECK(contains(test::message_of([&] {
                   QuantizedEmbedding(tensor(DType::Int8, {3, 4}), numbers, numbers);
                 }),
                 "uint8"));
  CHECK(contains(test::message_of([&] { QuantizedEmbedding(tensor(DType::UInt8, {12}), numbers, numbers); }),
                 "[rows, dim]"));
  CHECK(contains(test::message_of([&] { QuantizedEmbedding(codes, tensor(DType::Float32, {2}), numbers); }), "3 rows"));
  CHECK(contains(test::message_of([&] { QuantizedEmbedding(codes, numbers, tensor(DType::Int64, {3})); }),
                 "the zero points"));
}
