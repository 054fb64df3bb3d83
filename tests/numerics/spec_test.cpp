#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "mq/quant_spec.hpp"
#include "src/codecs/codec.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::message_of;

namespace {

QuantSpec affine(DType element, int bits, const Granularity& granularity, Mapping mapping = Mapping::Symmetric,
                 RangeKind range = RangeKind::Narrow) {
  return {.codec = "affine",
          .element = element,
          .bits = bits,
          .granularity = granularity,
          .mapping = mapping,
          .range = range};
}

std::string error_of_spec(std::string_view text) {
  return message_of([&] { parse_spec(text); });
}

}  // namespace

TEST_CASE("spec: the examples mean what they say") {
  CHECK(parse_spec("int8") == affine(DType::Int8, 8, PerChannel{}));
  CHECK(parse_spec("int8") == QuantSpec{});
  CHECK(parse_spec("int8:tensor:asym") == affine(DType::Int8, 8, PerTensor{}, Mapping::Asymmetric));
  CHECK(parse_spec("int4") == affine(DType::Int8, 4, PerGroup{128}, Mapping::Symmetric, RangeKind::Full));
  CHECK(parse_spec("int4:g32:asym") == affine(DType::Int8, 4, PerGroup{32}, Mapping::Asymmetric));
  CHECK(parse_spec("uint8:channel=1:asym") == affine(DType::UInt8, 8, PerChannel{1}, Mapping::Asymmetric));
  CHECK(parse_spec("uint3:b64x32:full") ==
        affine(DType::UInt8, 3, PerBlock{64, 32}, Mapping::Symmetric, RangeKind::Full));
  CHECK(parse_spec("int4:signed:sym:channel") ==
        affine(DType::Int8, 4, PerChannel{}, Mapping::Symmetric, RangeKind::Signed));
  const QuantSpec fp8 = parse_spec("fp8_e4m3:channel");
  CHECK(fp8.codec == "fp8");
  CHECK(fp8.element == DType::Float8E4M3FN);
  CHECK(fp8.granularity == Granularity(PerChannel{}));
  CHECK(parse_spec("fp8_e5m2:b128x128").granularity == Granularity(PerBlock{128, 128}));
  CHECK(parse_spec("fp16").element == DType::Float16);
  CHECK(parse_spec("bf16").element == DType::BFloat16);
  CHECK(parse_spec("fp32").bits == 32);
}

TEST_CASE("spec: activations") {
  const QuantSpec spec = parse_spec("int8+int8:token:dyn");
  REQUIRE(spec.activation);
  CHECK(*spec.activation == ActivationSpec{});
  CHECK(parse_spec("int8+int8") == spec);
  const ActivationSpec tensor{.per_token = false, .mapping = Mapping::Asymmetric};
  CHECK(parse_spec("int4:g128+int8:tensor:asym").activation == tensor);
  CHECK(parse_spec("fp8_e4m3+fp8_e4m3").activation->element == "fp8_e4m3");
  CHECK(to_string(spec) == "int8:channel=0:sym:narrow+int8:token:sym:dyn");
  CHECK(to_string(parse_spec("fp8_e4m3+fp8_e4m3")) == "fp8_e4m3:channel=0+fp8_e4m3:token:dyn");
}

TEST_CASE("spec: printing spells out every default and is read back as the same value") {
  CHECK(to_string(parse_spec("int8")) == "int8:channel=0:sym:narrow");
  CHECK(to_string(parse_spec("uint4:asym")) == "uint4:g128:asym");
  CHECK(to_string(parse_spec("fp8_e5m2:tensor")) == "fp8_e5m2:tensor");
  CHECK(to_string(parse_spec("bf16")) == "bf16");
  int texts = 0;
  for (const SchemeInfo& scheme : schemes()) {
    const CodecOptions options = codec_of(scheme.spec).options;
    for (const char* granularity : {"", ":tensor", ":channel", ":channel=2", ":g64", ":b16x128"}) {
      for (const char* mapping : {"", ":asym", ":full", ":signed:sym"}) {
        for (const char* activation : {"", "+int8", "+int8:tensor:asym:dyn", "+fp8_e4m3:tensor", "+nvfp4"}) {
          if (*granularity != 0 && !options.granularity) continue;
          if (*granularity != 0 && options.groups_only && granularity[1] != 'g') continue;
          const std::string_view kind(granularity);
          if (*granularity != 0 && options.rows_only && kind != ":g64" && kind != ":channel") continue;
          if (*mapping != 0 && !options.mapping) continue;
          if (*activation != 0 && !options.activation) continue;
          const bool same = (scheme.name == "nvfp4") == (activation == std::string_view("+nvfp4"));
          if (*activation != 0 && !same) continue;
          const QuantSpec spec = parse_spec(std::string(scheme.name) + granularity + mapping + activation);
          CHECK(parse_spec(to_string(spec)) == spec);
          CHECK(to_string(parse_spec(to_string(spec))) == to_string(spec));
          ++texts;
        }
      }
    }
  }
  CHECK(texts > 1000);
}

TEST_CASE("spec: the catalogue has every scheme once, and each passes its own check") {
  std::set<std::string_view> names;
  for (const SchemeInfo& scheme : schemes()) {
    CHECK(names.insert(scheme.name).second);
    CHECK(parse_spec(scheme.name) == scheme.spec);
    CHECK_FALSE(scheme.description.empty());
    CHECK(to_string(scheme.spec).starts_with(scheme.name));
  }
  CHECK(names.size() == 48);
}

TEST_CASE("spec: misspelt words are refused with the nearest right one") {
  CHECK(error_of_spec("int44").find("did you mean 'int4'?") != std::string::npos);
  CHECK(error_of_spec("fp8_e4m4").find("did you mean 'fp8_e4m3'?") != std::string::npos);
  CHECK(error_of_spec("int8:asim").find("did you mean 'asym'?") != std::string::npos);
  CHECK(error_of_spec("int8:chanel").find("did you mean 'channel'?") != std::string::npos);
  CHECK(error_of_spec("int8+int9").find("did you mean 'int8'?") != std::string::npos);
  CHECK(error_of_spec("int8+int8:tokn").find("did you mean 'token'?") != std::string::npos);
  CHECK(error_of_spec("xyzzy-and-more").find("there is no scheme 'xyzzy-and-more'") != std::string::npos);
  CHECK(error_of_spec("int8:asim").find("'int8:asim'") != std::string::npos);
}

TEST_CASE("spec: what is not in the grammar is refused") {
  for (const char* text : {"",
                           ":",
                           "int8:",
                           "int8::sym",
                           "INT8",
                           " int8",
                           "int8 ",
                           "int1",
                           "int9",
                           "uint16",
                           "int8:g0",
                           "int8:g-1",
                           "int8:g+1",
                           "int8:g",
                           "int8:g1x",
                           "int8:g99999999999999999999",
                           "int8:b",
                           "int8:b0x1",
                           "int8:b1",
                           "int8:b1x2x3",
                           "int8:bx2",
                           "int8:channel=",
                           "int8:channel=-1",
                           "int8:channel=a",
                           "int8:channel=0x1",
                           "int8:tensor:channel",
                           "int8:sym:sym",
                           "int8:sym:asym",
                           "int8:narrow:full",
                           "int8:asym:narrow",
                           "int8:full:asym",
                           "fp8_e4m3:sym",
                           "fp8_e4m3:asym",
                           "fp8_e4m3:narrow",
                           "fp16:tensor",
                           "fp16:channel",
                           "bf16:sym",
                           "fp32+int8",
                           "int8+",
                           "int8+int8+int8",
                           "int8+bf16",
                           "int8+int8:token:tensor",
                           "int8+int8:dyn:dyn",
                           "int8+fp8_e4m3:asym",
                           "int8+int8:g32",
                           "int8\n",
                           "int8:g4294967296"}) {
    CAPTURE(text);
    CHECK(code_of([&] { parse_spec(text); }) == ErrorCode::Usage);
  }
}

TEST_CASE("spec: values that no text gives are refused by the encoding") {
  const auto refused = [](const QuantSpec& spec) {
    return code_of([&] { codec_of(spec).check(spec); }) == ErrorCode::Usage;
  };
  CHECK(refused(affine(DType::Int8, 1, PerTensor{})));
  CHECK(refused(affine(DType::Int8, 9, PerTensor{})));
  CHECK(refused(affine(DType::Int16, 8, PerTensor{})));
  CHECK(refused(affine(DType::Int8, 8, PerTensor{}, Mapping::Asymmetric, RangeKind::Full)));
  QuantSpec spec = parse_spec("fp8_e4m3");
  spec.mapping = Mapping::Asymmetric;
  CHECK(refused(spec));
  spec = parse_spec("int8");
  spec.scale_dtype = DType::Float8E8M0FNU;
  CHECK(refused(spec));
  spec = parse_spec("fp16");
  spec.granularity = PerChannel{};
  CHECK(refused(spec));
  spec.codec = "nonsense";
  CHECK(code_of([&] { codec_of(spec); }) == ErrorCode::Internal);
}

TEST_CASE("spec: smallest and largest codes") {
  CHECK(parse_spec("int8").qmin() == -128);
  CHECK(parse_spec("int8").qmax() == 127);
  CHECK(parse_spec("uint8").qmin() == 0);
  CHECK(parse_spec("uint8").qmax() == 255);
  CHECK(parse_spec("int2").qmin() == -2);
  CHECK(parse_spec("uint3").qmax() == 7);
}

TEST_CASE("spec: bits per weight count codes, scales and zero points") {
  const auto bits = [](std::string_view text, const Shape& shape, DType scale) {
    QuantSpec spec = parse_spec(text);
    spec.scale_dtype = scale;
    return bits_per_weight(spec, shape);
  };
  const Shape shape{64, 1024};
  CHECK(bits("int8", shape, DType::Float16) == 8 + 16.0 / 1024);
  CHECK(bits("int8", shape, DType::Float32) == 8 + 32.0 / 1024);
  CHECK(bits("int8:g32", shape, DType::Float16) == 8.5);
  CHECK(bits("int4", shape, DType::Float16) == 4.125);
  CHECK(bits("int4:asym", shape, DType::Float16) == 4.15625);
  CHECK(bits("int4:g32:asym", shape, DType::BFloat16) == 4.625);
  CHECK(bits("int8:tensor:asym", shape, DType::Float32) == 8 + 40.0 / 65536);
  CHECK(bits("fp8_e4m3", shape, DType::Float16) == 8 + 16.0 / 1024);
  CHECK(bits_per_weight(parse_spec("bf16"), shape) == 16);
  CHECK(bits_per_weight(parse_spec("int8"), shape) == 8 + 32.0 / 1024);
  CHECK(bits_per_weight(parse_spec("int4"), Shape{0, 128}) == 4);
  CHECK(code_of([] { bits_per_weight(parse_spec("int4"), Shape{4, 100}); }) == ErrorCode::Usage);
}
