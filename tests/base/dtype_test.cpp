#include <doctest/doctest.h>

#include <limits>

#include "mq/dtype.hpp"
#include "mq/tensor.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;

TEST_CASE("dtype: both names of every type are parsed, whatever their case") {
  for (int i = 0; i <= static_cast<int>(DType::NVFP4); ++i) {
    const auto dtype = static_cast<DType>(i);
    CHECK(info(dtype).dtype == dtype);
    CHECK(parse_dtype(info(dtype).name) == dtype);
    CHECK(parse_dtype(info(dtype).short_name) == dtype);
  }
  CHECK(parse_dtype("FP16") == DType::Float16);
  CHECK(parse_dtype("Half") == DType::Float16);
  CHECK(parse_dtype("fp32") == DType::Float32);
  CHECK(parse_dtype("float") == DType::Float32);
  CHECK(parse_dtype("BFloat16") == DType::BFloat16);
  CHECK_FALSE(parse_dtype("int4"));
  CHECK_FALSE(parse_dtype(""));
}

TEST_CASE("dtype: the blocks of ggml are no floats, and no others hold their own scales") {
  for (int i = 0; i <= static_cast<int>(DType::NVFP4); ++i) {
    const auto dtype = static_cast<DType>(i);
    CAPTURE(to_string(dtype));
    CHECK(is_quantized_block(dtype) == (info(dtype).block_numel >= 32));
    if (is_quantized_block(dtype)) CHECK_FALSE(info(dtype).is_float);
  }
  CHECK(bytes_of(DType::Q4_K, 512) == 288);
  CHECK(bytes_of(DType::MXFP4, 32) == 17);
  CHECK(code_of([] { bytes_of(DType::Q4_K, 128); }) == ErrorCode::Corrupt);
}

TEST_CASE("dtype: sizes count whole blocks and refuse parts of one") {
  CHECK(bytes_of(DType::Float32, 3) == 12);
  CHECK(bytes_of(DType::Float4E2M1, 6) == 3);
  CHECK(bytes_of(DType::Float6E3M2, 8) == 6);
  CHECK(bytes_of(DType::Complex128, 0) == 0);
  CHECK(code_of([] { bytes_of(DType::Float4E2M1, 3); }) == ErrorCode::Corrupt);
  CHECK(code_of([] { bytes_of(DType::Float6E2M3, 6); }) == ErrorCode::Corrupt);
  CHECK(code_of([] { bytes_of(DType::UInt8, -1); }) == ErrorCode::Corrupt);
  CHECK(code_of([] { bytes_of(DType::UInt16, std::numeric_limits<std::int64_t>::max() / 2 + 1); }) == ErrorCode::Limit);
}

TEST_CASE("tensor: the number of elements is checked for overflow, past zeros too") {
  const auto count = [](Shape shape) { return numel(shape); };
  CHECK(count({}) == 1);
  CHECK(count({2, 3, 4}) == 24);
  CHECK(count({0, 5}) == 0);
  CHECK(code_of([&] { count({2, -1}); }) == ErrorCode::Corrupt);
  CHECK(code_of([&] { count({0, -1}); }) == ErrorCode::Corrupt);
  const std::int64_t big = std::int64_t{1} << 40;
  CHECK(code_of([&] { count({big, big}); }) == ErrorCode::Limit);
  CHECK(code_of([&] { count({0, big, big}); }) == ErrorCode::Limit);
  CHECK(to_string(Shape{4096, 128}) == "[4096, 128]");
}

TEST_CASE("tensor: shares its bytes, checks their number and the type they are read as") {
  Buffer bytes(2 * sizeof(float));
  CHECK(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64 == 0);
  bytes.as<float>()[0] = 1.5F;
  bytes.as<float>()[1] = -2.0F;
  const Tensor tensor(DType::Float32, {2}, std::move(bytes));
  const Tensor copy = tensor;
  CHECK(copy.bytes().data() == tensor.bytes().data());
  CHECK(copy.as<float>()[1] == -2.0F);
  CHECK(code_of([&] { tensor.as<double>(); }) == ErrorCode::Usage);
  CHECK(code_of([] { Tensor(DType::Float32, {3}, Buffer(8)); }) == ErrorCode::Usage);
  CHECK(Tensor().bytes().empty());
}
