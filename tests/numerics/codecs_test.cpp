// What every encoding must do, whatever it is: a new entry of all_codecs() is tested here before it has tests of its
// own.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "mq/metrics.hpp"
#include "src/qparams.hpp"
#include "tests/numerics/encode.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::cut;
using mq::test::decode;
using mq::test::encode;
using mq::test::Encoded;
using mq::test::gauss_weights;
using mq::test::request_for;
using mq::test::whole;

namespace {

// Each scheme with each granularity and mapping that it has.
std::vector<std::string> all_specs() {
  std::vector<std::string> specs;
  for (const Codec* codec : all_codecs()) {
    for (const SchemeInfo& scheme : codec->schemes()) {
      const std::string name(scheme.name);
      if (!codec->options.granularity) {
        specs.push_back(name);
        continue;
      }
      for (const char* granularity : {":tensor", ":channel", ":channel=1", ":g32", ":b3x40"}) {
        const std::string_view kind(granularity);
        if (codec->options.groups_only && kind != ":g32") continue;
        if (codec->options.rows_only && kind != ":g32" && kind != ":channel") continue;
        if (!codec->options.mapping) {
          specs.push_back(name + granularity);
          continue;
        }
        for (const char* mapping : {":asym", ":narrow", ":full", ":signed"}) {
          specs.push_back(name + granularity + mapping);
        }
      }
    }
  }
  return specs;
}

bool encodes_cut_rows(const CodecRequest& request) {
  return !codec_of(request.spec).options.outliers;
}

// The forms of codes that an encoding has.
std::vector<CodeForm> forms_of(CodecRequest request) {
  request.form = CodeForm::Packed;
  const auto parts = [&] { codec_of(request.spec).parts(request); };
  if (mq::test::code_of(parts)) return {CodeForm::Bytes};
  return {CodeForm::Bytes, CodeForm::Packed};
}

double sqnr_db(std::span<const float> x, std::span<const float> y) {
  return measure(x.data(), y.data(), 1, static_cast<std::int64_t>(x.size())).sqnr_db();
}

std::uint64_t fnv(std::uint64_t hash, std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001b3;
  return hash;
}

// Rows of 160 hold 5 groups of 32 and 4 blocks of 40 columns; 7 rows leave a partial block of rows.
const Shape kShape{7, 160};

// What tiles are cut by: 32 columns, or the block of a type whose blocks are longer. Its rows are longer as much.
std::int64_t unit_of(const std::string& spec) {
  return std::max<std::int64_t>(32, info(parse_spec(spec).element).block_numel);
}
Shape shape_for(const std::string& spec) {
  return {7, 5 * unit_of(spec)};
}

}  // namespace

TEST_CASE("codecs: what is decoded is near what was encoded, in every form") {
  for (const std::string& spec : all_specs()) {
    const Shape shape = shape_for(spec);
    const std::vector<float> x = gauss_weights(numel(shape), 1);
    CAPTURE(spec);
    CodecRequest request = request_for(spec, shape);
    for (const CodeForm form : forms_of(request)) {
      request.form = form;
      const std::vector<Tile> tiles = whole(request.layout);
      const std::vector<float> y = decode(request, encode(request, x, tiles), tiles);
      CHECK(sqnr_db(x, y) > std::min(4.0 * request.spec.bits - 8.0, 50.0));
    }
  }
}

TEST_CASE("codecs: what encode() says of its error is what measure() says of the decoded codes") {
  const std::array<Shape, 5> shapes{{{40, 192}, {5, 4160}, {3, 2048}, {1, 64}, {2, 36864}}};
  int measuring = 0;
  for (const Shape& shape : shapes) {
    const std::vector<float> x = gauss_weights(numel(shape), 7);
    for (const char* spec : {"int8", "int8:asym", "uint8:tensor", "int8:g16", "int8:g64", "int8:signed", "int4:channel",
                             "int4:g32", "int4:g32:asym", "int4:g64:full", "uint4:g16", "int5"}) {
      CAPTURE(spec);
      CAPTURE(to_string(shape));
      CodecRequest request = request_for(spec, shape);
      for (const CodeForm form : forms_of(request)) {
        request.form = form;
        const Codec& codec = codec_of(request.spec);
        if (!codec.measures(request)) continue;
        ++measuring;
        const std::vector<Tile> tiles = cut(request.layout, 3, shape[1]);
        ErrorStats error;
        const Encoded encoded = encode(request, x, tiles, nullptr, std::byte{0}, &error);
        CHECK(encoded == encode(request, x, tiles));
        const std::vector<float> y = decode(request, encoded, tiles);
        CHECK(error == measure(x.data(), y.data(), shape[0], shape[1]));
      }
    }
  }
  CHECK(measuring == 115);
}

TEST_CASE("codecs: every byte of every part is written, and none depends on what was there") {
  for (const std::string& spec : all_specs()) {
    const Shape shape = shape_for(spec);
    const std::vector<float> x = gauss_weights(numel(shape), 2);
    CAPTURE(spec);
    CodecRequest request = request_for(spec, shape);
    for (const CodeForm form : forms_of(request)) {
      request.form = form;
      const std::vector<Tile> tiles = whole(request.layout);
      CHECK(encode(request, x, tiles, nullptr, std::byte{0}) == encode(request, x, tiles, nullptr, std::byte{0xff}));
    }
  }
}

TEST_CASE("codecs: bytes and values do not depend on how the matrix is cut, nor on the number of passes") {
  for (const std::string& spec : all_specs()) {
    const std::int64_t unit = unit_of(spec);
    const Shape shape = shape_for(spec);
    const std::vector<float> x = gauss_weights(numel(shape), 3);
    CAPTURE(spec);
    CodecRequest request = request_for(spec, shape);
    for (const CodeForm form : forms_of(request)) {
      CAPTURE(static_cast<int>(form));
      request.form = form;
      request.two_pass = false;
      const std::vector<Tile> all = whole(request.layout);
      const Encoded expected = encode(request, x, all);
      const std::vector<float> values = decode(request, expected, all);
      CHECK(encode(request, x, cut(request.layout, 1, 5 * unit)) == expected);
      CHECK(encode(request, x, cut(request.layout, 4, 5 * unit)) == expected);
      CHECK(decode(request, expected, cut(request.layout, 2, 3 * unit)) == values);
      if (!encodes_cut_rows(request)) continue;
      request.two_pass = true;
      std::vector<Tile> tiles = cut(request.layout, 2, 2 * unit);
      std::ranges::reverse(tiles);
      CHECK(encode(request, x, tiles) == expected);
      CHECK(decode(request, expected, tiles) == values);
      CHECK(encode(request, x, cut(request.layout, 3, unit)) == expected);
    }
  }
}

TEST_CASE("codecs: shapes of odd sizes, single elements and nothing at all") {
  for (const Shape& shape :
       {Shape{3, 5, 7}, Shape{1, 9}, Shape{5, 1}, Shape{1}, Shape{0, 8}, Shape{4, 0}, Shape{2, 3, 1}}) {
    const std::vector<float> x = gauss_weights(numel(shape), 4);
    CAPTURE(to_string(shape));
    for (std::string spec : all_specs()) {
      if (spec.find(":g32") != std::string::npos || spec == "nvfp4" || spec.starts_with("mxfp8")) continue;
      if (shape.size() == 1 && spec.find("channel=1") != std::string::npos) continue;
      if (is_quantized_block(parse_spec(spec).element)) continue;  // rows are whole blocks
      CAPTURE(spec);
      CodecRequest request = request_for(spec, shape);
      if (request.spec.outliers > 0) continue;  // columns must be left
      for (const CodeForm form : forms_of(request)) {
        request.form = form;
        request.two_pass = false;
        const std::vector<Tile> tiles = whole(request.layout);
        const Encoded encoded = encode(request, x, tiles, nullptr, std::byte{0});
        CHECK(encode(request, x, tiles, nullptr, std::byte{0xff}) == encoded);
        const std::vector<float> y = decode(request, encoded, tiles);
        if (request.spec.bits >= 8 && !x.empty()) CHECK(sqnr_db(x, y) > 20);
        request.two_pass = true;
        CHECK(encode(request, x, tiles) == encoded);
      }
    }
  }
}

TEST_CASE("codecs: bytes are the same with every instruction set and compiler") {
  const std::vector<float> x = gauss_weights(numel(kShape), 5);
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const std::string& spec : all_specs()) {
    if (is_quantized_block(parse_spec(spec).element)) continue;  // in gguf_encode_test.cpp
    for (const DType scale : {DType::Float32, DType::Float16, DType::BFloat16}) {
      CodecRequest request = request_for(spec, kShape);
      request.spec.scale_dtype = scale;
      for (const CodeForm form : forms_of(request)) {
        request.form = form;
        const Encoded encoded = encode(request, x, whole(request.layout));
        for (const auto& part : encoded.parts) hash = fnv(hash, part);
        const std::vector<float> y = decode(request, encoded, whole(request.layout));
        hash = fnv(hash, std::as_bytes(std::span(y)));
      }
    }
  }
  CHECK(hash == 4039742443280106264u);
}

TEST_CASE("codecs: values that are not finite are counted once, in one pass, in two, and with given parameters") {
  for (const std::string& spec : all_specs()) {
    CAPTURE(spec);
    const std::int64_t unit = unit_of(spec);
    const Shape shape = shape_for(spec);
    std::vector<float> x = gauss_weights(numel(shape), 6);
    x[0] = std::numeric_limits<float>::quiet_NaN();
    x[200] = std::numeric_limits<float>::infinity();
    x.back() = -std::numeric_limits<float>::infinity();
    CodecRequest request = request_for(spec, shape);
    CHECK(encode(request, x, cut(request.layout, 2, 5 * unit)).counts.nonfinite == 3);
    if (encodes_cut_rows(request)) {
      request.two_pass = true;
      CHECK(encode(request, x, cut(request.layout, 2, 2 * unit)).counts.nonfinite == 3);
    }
    const CodecOptions options = codec_of(request.spec).options;
    if (!options.granularity || options.groups_only || options.outliers) continue;  // those take no parameters
    const auto blocks = static_cast<std::size_t>(request.layout.blocks());
    const QParams given = choose_qparams(std::vector<Range>(blocks, Range{-1, 1}), request.spec);
    CHECK(encode(request, x, cut(request.layout, 2, 64), &given).counts.nonfinite == 3);
  }
}

TEST_CASE("codecs: scales that their type cannot hold are counted once") {
  std::vector<float> x(static_cast<std::size_t>(numel(kShape)), 1.0f);
  x[3] = 3e38f;
  for (const char* spec : {"int8:tensor", "int8:channel", "int8:channel=1", "int4:g32:asym", "fp8_e4m3:b3x40"}) {
    CAPTURE(spec);
    CodecRequest request = request_for(spec, kShape);
    request.spec.scale_dtype = DType::Float16;
    for (const bool two_pass : {false, true}) {
      request.two_pass = two_pass;
      CHECK(encode(request, x, cut(request.layout, 2, two_pass ? 64 : 160)).counts.overflow == 1);
    }
  }
}

TEST_CASE("codecs: parameters of the data, given, lead to the same bytes") {
  const std::vector<float> x = gauss_weights(numel(kShape), 7);
  for (const std::string& spec : all_specs()) {
    CodecRequest request = request_for(spec, kShape);
    const CodecOptions options = codec_of(request.spec).options;
    if (!options.granularity || options.groups_only || options.outliers) continue;  // those take no parameters
    CAPTURE(spec);
    request.spec.scale_dtype = DType::Float16;
    MinMaxObserver observer(request.spec.granularity);
    observer.observe(mq::test::view_of(x, kShape));
    const QParams given = choose_qparams(observer.ranges(), request.spec);
    const std::vector<Tile> tiles = whole(request.layout);
    const Encoded expected = encode(request, x, tiles);
    CHECK(encode(request, x, tiles, &given) == expected);
    CHECK(encode(request, x, cut(request.layout, 2, 32), &given) == expected);
  }
}

TEST_CASE("codecs: every weight is within half a step of its block, for every range") {
  const std::vector<float> x = gauss_weights(numel(kShape), 8);
  for (const std::string& spec : all_specs()) {
    const CodecRequest request = request_for(spec, kShape);
    if (!request.spec.is_integer()) continue;
    CAPTURE(spec);
    const std::vector<Tile> tiles = whole(request.layout);
    const Encoded encoded = encode(request, x, tiles);
    const std::vector<float> y = decode(request, encoded, tiles);
    const auto* scales = reinterpret_cast<const float*>(encoded.parts[1].data());
    // The full range puts its extremes half a step outside, and the signed one its smaller side up to a whole one; a
    // rounded zero point moves the ends of an asymmetric range by half a step.
    const bool clips = request.spec.range != RangeKind::Narrow || request.spec.mapping == Mapping::Asymmetric;
    const float steps = request.spec.range == RangeKind::Signed ? 1.0f : clips ? 0.75f : 0.5f;
    bool near = true;
    for (std::int64_t i = 0; i < numel(kShape); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const float step = std::fabs(scales[request.layout.block_of(i / 160, i % 160)]);
      near &= std::fabs(x[at] - y[at]) <= step * (steps + 1e-4f);
    }
    CHECK(near);
  }
}
