// Quantized models of every layout with one thing changed: a tensor's shape, type, name or bytes, or one value of the
// configuration. Whatever comes of it, it is an answer or an error that belongs to the data.
#include <doctest/doctest.h>

#include <functional>

#include "mq/mq.hpp"
#include "src/json.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/memory_checkpoint.hpp"

using namespace mq;
using mq::test::CountingWriter;
using mq::test::MemoryCheckpoint;

namespace {

constexpr std::int64_t kMostNumel = 1 << 20;  // of tensors that are read

struct Model {
  std::vector<TensorInfo> tensors;
  std::vector<std::vector<std::byte>> data;
  Metadata metadata;

  MemoryCheckpoint checkpoint() const {
    MemoryCheckpoint c;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::vector<std::byte> bytes = data[i];
      const std::optional<std::int64_t> numel = checked_numel(tensors[i].shape);
      // What a file's own reader guarantees: all bytes of the shape are there.
      if (numel && *numel <= kMostNumel) bytes.resize(static_cast<std::size_t>(tensors[i].size_bytes()));
      c.add(tensors[i].name, tensors[i].dtype, tensors[i].shape, bytes);
    }
    for (const auto& [key, value] : metadata) c.add_metadata(key, std::get<std::string>(value));
    return c;
  }

  static std::optional<std::int64_t> checked_numel(const Shape& shape) {
    std::int64_t product = 1;
    for (const std::int64_t d : shape) {
      if (__builtin_mul_overflow(product, d, &product)) return std::nullopt;
    }
    return product;
  }
};

struct Case {
  const char* dialect;
  const char* scheme;
};
constexpr Case kCases[] = {
    {"compressed_tensors", "int4:g32:asym"},
    {"compressed_tensors", "int8"},
    {"compressed_tensors", "nvfp4"},
    {"compressed_tensors", "mxfp4"},
    {"compressed_tensors", "mxfp8"},
    {"gptq", "int4:g32"},
    {"gptq_v2", "int3:g32:asym"},
    {"awq", "int4:g32:asym"},
    {"bitsandbytes", "nf4"},
    {"bitsandbytes", "int8"},
    {"fp8_blocks", "fp8_e4m3:b32x32"},
    {"quanto", "int8"},
    {"mono_quant", "int8_outliers:o4"},
    {"mono_quant", "int4_outliers:g32:asym:o4"},
    {"torchao", "int8+int8:token:dyn"},
    {"torchao", "int4:g32:asym"},
    {"torchao", "int4:g32"},
};

Model model_of(const Case& c) {
  MemoryCheckpoint source;
  source.add("m.fc.weight", DType::Float32, {32, 64}, test::weights(32 * 64));
  source.add("m.norm.weight", DType::Float32, {64}, test::weights(64, 2));
  CountingWriter writer;
  const Recipe recipe{.scheme = parse_spec(c.scheme), .min_numel = 0, .dialect = c.dialect};
  convert(source, make_plan(describe(source), recipe), writer, serial_executor());
  const MemoryCheckpoint made = writer.checkpoint();
  return {{made.tensors().begin(), made.tensors().end()}, writer.data(), made.metadata()};
}

// All that can be done with a source.
void use(const MemoryCheckpoint& c) {
  const Source source = describe(c);
  for (const LogicalTensor& tensor : source.tensors) {
    const auto numel = Model::checked_numel(tensor.info.shape);
    if (!numel || *numel > kMostNumel || !info(tensor.info.dtype).is_float) continue;
    read_float(c, tensor);
  }
  validate(c, serial_executor());
  for (const char* dialect : {"gptq_v2", "compressed_tensors"}) {
    test::error_of([&] { make_plan(source, {.task = Recipe::Task::Repack, .dialect = dialect}); });
  }
  CountingWriter writer;
  convert(c, make_plan(source, {.scheme = parse_spec("int8"), .min_numel = 0}), writer, serial_executor());
}

// Returns whether it was used without an error.
bool check(const Model& model) {
  bool large = false;
  for (const TensorInfo& tensor : model.tensors) {
    const auto numel = Model::checked_numel(tensor.shape);
    large = large || !numel || *numel > kMostNumel;
  }
  const MemoryCheckpoint c = model.checkpoint();
  const std::optional<Error> error = test::error_of([&] { large ? static_cast<void>(describe(c)) : use(c); });
  if (!error) return true;
  const ErrorCode code = error->code();
  INFO(std::string(error->what()));
  CHECK((code == ErrorCode::Corrupt || code == ErrorCode::Unsupported || code == ErrorCode::Limit ||
         code == ErrorCode::Numeric || code == ErrorCode::Usage));
  return false;
}

// Calls f(text with one value of the JSON text replaced, or one member left out).
void for_each_change(const json::Value& root, const std::function<void(const std::string&)>& f) {
  const std::vector<json::Value> values = {nullptr,       true,          -1, 0, 1, 3, std::int64_t{1} << 62, 1e300, "x",
                                           json::Array{}, json::Object{}};
  json::Value copy = root;
  const std::function<void(json::Value&)> visit = [&](json::Value& at) {
    const json::Value before = at;
    for (const json::Value& value : values) {
      at = value;
      f(json::dump(copy, -1));
    }
    at = before;
    if (json::Array* items = at.as_array()) {
      for (json::Value& item : *items) visit(item);
    }
    json::Object* members = at.as_object();
    for (std::size_t i = 0; members != nullptr && i < members->size(); ++i) {
      const auto member = (*members)[i];
      members->erase(members->begin() + static_cast<std::ptrdiff_t>(i));
      f(json::dump(copy, -1));
      members->insert(members->begin() + static_cast<std::ptrdiff_t>(i), member);
      visit((*members)[i].second);
    }
  };
  visit(copy);
}

}  // namespace

TEST_CASE("layouts: a tensor of another shape, type or name, or none, is read or refused") {
  for (const Case& row : kCases) {
    CAPTURE(row.dialect);
    CAPTURE(row.scheme);
    const Model sound = model_of(row);
    REQUIRE(check(sound));
    for (std::size_t t = 0; t < sound.tensors.size(); ++t) {
      CAPTURE(sound.tensors[t].name);
      const auto with = [&](const std::function<void(Model&)>& change) {
        Model model = sound;
        change(model);
        check(model);
      };
      with([&](Model& m) {
        m.tensors.erase(m.tensors.begin() + static_cast<std::ptrdiff_t>(t));
        m.data.erase(m.data.begin() + static_cast<std::ptrdiff_t>(t));
      });
      with([&](Model& m) { m.tensors[t].name = m.tensors[t].name.str() + "x"; });
      with([&](Model& m) { m.tensors[t].shape.clear(); });
      with([&](Model& m) { m.tensors[t].shape.push_back(1); });
      with([&](Model& m) { m.tensors[t].shape.push_back(2); });
      for (const DType dtype : {DType::Float32, DType::BFloat16, DType::Float64, DType::Int8, DType::UInt8,
                                DType::Int32, DType::Int64, DType::Float8E4M3FN, DType::Bool}) {
        with([&](Model& m) { m.tensors[t].dtype = dtype; });
      }
      for (std::size_t d = 0; d < sound.tensors[t].shape.size(); ++d) {
        const std::int64_t size = sound.tensors[t].shape[d];
        for (const std::int64_t other : {std::int64_t{0}, std::int64_t{1}, size - 1, size + 1, size / 2, size * 2,
                                         std::int64_t{1} << 40, std::int64_t{1} << 62}) {
          with([&](Model& m) { m.tensors[t].shape[d] = other; });
        }
      }
    }
  }
}

TEST_CASE("layouts: a configuration with one value changed or missing is read or refused") {
  for (const Case& row : kCases) {
    CAPTURE(row.dialect);
    CAPTURE(row.scheme);
    const Model sound = model_of(row);
    std::size_t tried = 0;
    for (std::size_t i = 0; i < sound.metadata.size(); ++i) {
      const std::string& text = std::get<std::string>(sound.metadata[i].second);
      if (!text.starts_with('{')) continue;
      for_each_change(json::parse(text, "metadata"), [&](const std::string& changed) {
        CAPTURE(changed);
        Model model = sound;
        model.metadata[i].second = changed;
        check(model);
        ++tried;
      });
    }
    CHECK(tried > 10);
  }
}

TEST_CASE("layouts: parts whose bytes are all ones, or one byte, are read or refused") {
  for (const Case& row : kCases) {
    CAPTURE(row.dialect);
    CAPTURE(row.scheme);
    const Model sound = model_of(row);
    for (std::size_t t = 0; t < sound.tensors.size(); ++t) {
      CAPTURE(sound.tensors[t].name);
      for (const unsigned value : {0x00u, 0x01u, 0x7fu, 0x80u, 0xffu}) {
        Model model = sound;
        std::ranges::fill(model.data[t], std::byte(value));
        check(model);
        model = sound;
        for (std::size_t b = 0; b < std::min<std::size_t>(model.data[t].size(), 16); ++b) {
          model.data[t][b] = std::byte(value);
          check(model);
        }
      }
    }
  }
}
