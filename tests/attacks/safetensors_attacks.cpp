// Safetensors files with one thing wrong, or odd but right.
#include <string>

#include "tests/attacks/attack.hpp"
#include "tests/support/checkpoints.hpp"

namespace mq::attacks {
namespace {

using test::safetensors_bytes;

constexpr std::string_view kGood = R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})";

std::string length_of(std::uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof(length)};
}

void add_lengths(Attacks& attacks) {
  const std::string json = "{\"x\":" + std::string(kGood) + "}";
  const auto with = [&](const char* name, std::uint64_t length) {
    attacks.add(name, length_of(length) + json + "dddd");
  };
  attacks.add("sound", safetensors_bytes(json, "dddd"));
  attacks.add("length-alone", length_of(2));
  attacks.add("length-cut", "\2{}");
  with("length-0", 0);
  with("length-1", 1);
  with("length-one-less", json.size() - 1);
  with("length-one-more", json.size() + 1);
  with("length-of-the-file", json.size() + 8 + 4);
  with("length-100-million", 100'000'000);
  with("length-above-100-million", 100'000'001);
  with("length-4-gib", std::uint64_t{1} << 32);
  with("length-2-63", std::uint64_t{1} << 63);
  with("length-largest", ~std::uint64_t{0});
}

// Headers; the data is "dddd" unless it says otherwise.
void add_headers(Attacks& attacks) {
  const std::string good(kGood);
  const auto with = [&](const char* name, const std::string& json, const std::string& data = "dddd") {
    attacks.add(name, safetensors_bytes(json, data));
  };
  with("header-empty-object", "{}", "");
  with("header-empty-object-with-data", "{}");
  with("header-metadata-only", R"({"__metadata__":{"format":"pt"}})", "");
  with("header-metadata-null", R"({"__metadata__":null,"x":)" + good + "}");
  with("header-blanks-around", "  {\"x\":" + good + "}  \n");
  with("header-array", "[" + good + "]");
  with("header-number", "3", "");
  with("header-bom", "\xef\xbb\xbf{\"x\":" + good + "}");
  with("header-open", "{\"x\":" + good);
  with("header-junk-after", "{\"x\":" + good + "}x");
  with("header-nul-after", "{\"x\":" + good + "}" + std::string(3, '\0'));
  with("header-two-objects", "{\"x\":" + good + "}{}");
  with("header-comma-at-the-end", "{\"x\":" + good + ",}");
  with("header-comment", "{/**/\"x\":" + good + "}");
  with("header-single-quotes", "{'x':" + good + "}");
  with("header-not-utf-8", "{\"x\xff\":" + good + "}");
  with("header-lone-surrogate", "{\"\\ud800\":" + good + "}");
  with("header-raw-control-character", "{\"a\nb\":" + good + "}");
  with("header-deep-arrays", "{\"x\":{\"a\":" + std::string(200, '[') + std::string(200, ']') + "}}");
  with("header-very-deep-arrays", "{\"x\":{\"a\":" + std::string(100'000, '[') + "}}");
  with("header-very-deep-objects", [] {
    std::string json = "{\"x\":{\"a\":";
    for (int i = 0; i < 100'000; ++i) json += "{\"a\":";
    return json;
  }());
  with("header-deep-at-the-top", std::string(100'000, '['));
  with("metadata-twice", R"({"__metadata__":{},"__metadata__":{},"x":)" + good + "}");
  with("metadata-key-twice", R"({"__metadata__":{"k":"1","k":"2"},"x":)" + good + "}");
  with("metadata-key-twice-escaped", R"({"__metadata__":{"k":"1","\u006b":"2"},"x":)" + good + "}");
  with("metadata-number", R"({"__metadata__":{"k":1},"x":)" + good + "}");
  with("metadata-null-value", R"({"__metadata__":{"k":null},"x":)" + good + "}");
  with("metadata-nested", R"({"__metadata__":{"k":{}},"x":)" + good + "}");
  with("metadata-array", R"({"__metadata__":[],"x":)" + good + "}");
  with("metadata-text", R"({"__metadata__":"k","x":)" + good + "}");
}

void add_names(Attacks& attacks) {
  const auto with = [&](const char* name, const std::string& key) {
    attacks.add(name, safetensors_bytes("{\"" + key + "\":" + std::string(kGood) + "}", "dddd"));
  };
  with("name-empty", "");
  with("name-path", "../../etc/passwd");
  with("name-absolute", "/etc/passwd");
  with("name-nul", "a\\u0000b");
  with("name-escapes", "\\u001b[2J\\r\\n");
  with("name-1-mib", std::string(std::size_t{1} << 20, 'n'));
  with("name-above-1-mib", std::string((std::size_t{1} << 20) + 1, 'n'));
  const std::string bad = R"({"\u001b[2J\n":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})";
  attacks.add("name-escapes-in-an-error", safetensors_bytes(bad, "x"));
  const auto two = [&](const char* name, const std::string& a, const std::string& b, const char* second) {
    attacks.add(
        name, safetensors_bytes("{\"" + a + "\":" + std::string(kGood) + ",\"" + b + "\":" + second + "}", "dddddddd"));
  };
  const char* next = R"({"dtype":"U8","shape":[4],"data_offsets":[4,8]})";
  two("name-twice-other-range", "x", "x", next);
  two("name-twice-escaped", "x", "\\u0078", next);
  attacks.add("name-twice-identical",
              safetensors_bytes("{\"x\":" + std::string(kGood) + ",\"x\":" + std::string(kGood) + "}", "dddd"));
}

void add_entries(Attacks& attacks) {
  struct Entry {
    const char* name;
    const char* json;
    const char* data = "dddd";
  };
  for (const Entry& entry : std::vector<Entry>{
           {"entry-array", R"(["U8",[4],[0,4]])"},
           {"entry-array-too-short", R"(["U8",[4]])"},
           {"entry-array-too-long", R"(["U8",[4],[0,4],1])"},
           {"entry-array-out-of-order", R"([[4],"U8",[0,4]])"},
           {"entry-null", "null"},
           {"entry-number", "1"},
           {"entry-text", R"("y")"},
           {"entry-empty", "{}"},
           {"entry-without-dtype", R"({"shape":[4],"data_offsets":[0,4]})"},
           {"entry-without-shape", R"({"dtype":"U8","data_offsets":[0,4]})"},
           {"entry-without-offsets", R"({"dtype":"U8","shape":[4]})"},
           {"entry-unknown-member", R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"z":[{"a":1.5}]})"},
           {"entry-dtype-twice", R"({"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]})"},
           {"entry-shape-twice", R"({"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]})"},
           {"entry-offsets-twice", R"({"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]})"},
           {"dtype-lower-case", R"({"dtype":"u8","shape":[4],"data_offsets":[0,4]})"},
           {"dtype-unknown", R"({"dtype":"Q4","shape":[4],"data_offsets":[0,4]})"},
           {"dtype-number", R"({"dtype":8,"shape":[4],"data_offsets":[0,4]})"},
           {"shape-scalar", R"({"dtype":"F32","shape":[],"data_offsets":[0,4]})"},
           {"shape-with-zero", R"({"dtype":"F32","shape":[0,3],"data_offsets":[0,0]})", ""},
           {"shape-negative", R"({"dtype":"U8","shape":[-4],"data_offsets":[0,4]})"},
           {"shape-minus-zero", R"({"dtype":"U8","shape":[-0],"data_offsets":[0,0]})", ""},
           {"shape-float", R"({"dtype":"U8","shape":[4.0],"data_offsets":[0,4]})"},
           {"shape-exponent", R"({"dtype":"U8","shape":[4e0],"data_offsets":[0,4]})"},
           {"shape-text", R"({"dtype":"U8","shape":["4"],"data_offsets":[0,4]})"},
           {"shape-true", R"({"dtype":"U8","shape":[true],"data_offsets":[0,4]})"},
           {"shape-nested", R"({"dtype":"U8","shape":[[4]],"data_offsets":[0,4]})"},
           {"shape-number", R"({"dtype":"U8","shape":4,"data_offsets":[0,4]})"},
           {"shape-2-63", R"({"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]})"},
           {"shape-2-64", R"({"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]})"},
           {"shape-2-64-plus-4", R"({"dtype":"U8","shape":[18446744073709551620],"data_offsets":[0,4]})"},
           {"shape-product-overflows", R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})", ""},
           {"shape-product-overflows-before-zero",
            R"({"dtype":"U8","shape":[1099511627776,1099511627776,0],"data_offsets":[0,0]})", ""},
           {"shape-zero-before-an-overflow",
            R"({"dtype":"U8","shape":[0,1099511627776,1099511627776],"data_offsets":[0,0]})", ""},
           {"shape-bytes-overflow", R"({"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]})", ""},
           {"shape-bits-overflow", R"({"dtype":"F4","shape":[9223372036854775807],"data_offsets":[0,4]})"},
           {"shape-half-a-byte", R"({"dtype":"F4","shape":[7],"data_offsets":[0,4]})"},
           {"shape-part-of-a-group", R"({"dtype":"F6_E2M3","shape":[5],"data_offsets":[0,4]})"},
           {"offsets-one", R"({"dtype":"U8","shape":[4],"data_offsets":[4]})"},
           {"offsets-three", R"({"dtype":"U8","shape":[4],"data_offsets":[0,4,4]})"},
           {"offsets-none", R"({"dtype":"U8","shape":[4],"data_offsets":[]})"},
           {"offsets-float", R"({"dtype":"U8","shape":[4],"data_offsets":[0,4.0]})"},
           {"offsets-object", R"({"dtype":"U8","shape":[4],"data_offsets":{"0":4}})"},
           {"offsets-negative", R"({"dtype":"U8","shape":[4],"data_offsets":[-4,0]})"},
           {"offsets-2-64", R"({"dtype":"U8","shape":[4],"data_offsets":[0,18446744073709551620]})"},
           {"offsets-largest",
            R"({"dtype":"U8","shape":[4],"data_offsets":[9223372036854775804,9223372036854775807]})"},
           {"bytes-too-few", R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"},
           {"bytes-too-many", R"({"dtype":"U8","shape":[3],"data_offsets":[0,4]})"},
       }) {
    attacks.add(entry.name, safetensors_bytes("{\"x\":" + std::string(entry.json) + "}", entry.data));
  }
  std::string rank = "1";
  for (int i = 1; i < 64; ++i) rank += ",1";
  const auto of_rank = [](const std::string& dims) {
    return safetensors_bytes(R"({"x":{"dtype":"U8","shape":[)" + dims + R"(],"data_offsets":[0,1]}})", "d");
  };
  attacks.add("rank-64", of_rank(rank));
  attacks.add("rank-65", of_rank(rank + ",1"));
}

void add_cover(Attacks& attacks) {
  const auto two = [&](const char* name, const char* a, const char* b, std::size_t bytes) {
    const std::string json = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + std::string(a) +
                             R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + std::string(b) + "}}";
    attacks.add(name, safetensors_bytes(json, std::string(bytes, 'd')));
  };
  two("cover-out-of-order", "[2,4]", "[0,2]", 4);
  two("cover-hole-at-the-start", "[1,3]", "[3,5]", 5);
  two("cover-hole-in-the-middle", "[0,2]", "[3,5]", 5);
  two("cover-overlap", "[0,2]", "[1,3]", 3);
  two("cover-same-range", "[0,2]", "[0,2]", 2);
  two("cover-end-before-begin", "[0,2]", "[4,2]", 4);
  two("cover-data-missing", "[0,2]", "[2,4]", 3);
  two("cover-data-left-over", "[0,2]", "[2,4]", 5);
  const auto empty_at = [&](const char* name, const char* offsets) {
    const std::string json = R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                             R"("e":{"dtype":"U8","shape":[0],"data_offsets":)" +
                             std::string(offsets) + "}}";
    attacks.add(name, safetensors_bytes(json, "dd"));
  };
  empty_at("cover-empty-at-the-end", "[2,2]");
  empty_at("cover-empty-inside", "[1,1]");
  empty_at("cover-empty-behind", "[3,3]");
  attacks.add("cover-odd-offset", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                    R"("b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
                                                    "ddddd"));
}

void add_changes(Attacks& attacks) {
  namespace fs = std::filesystem;
  const std::string bytes = safetensors_bytes("{\"x\":" + std::string(kGood) + "}", "dddd");
  attacks.add_change("changed-shorter", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size - 2); });
  attacks.add_change("changed-longer", bytes,
                     [size = bytes.size()](const fs::path& path) { fs::resize_file(path, size + 1); });
  attacks.add_change("changed-touched", bytes, [](const fs::path& path) {
    fs::last_write_time(path, fs::file_time_type() + std::chrono::hours(1));
  });
}

}  // namespace

std::vector<Attack> safetensors_attacks() {
  Attacks attacks("safetensors");
  add_lengths(attacks);
  add_headers(attacks);
  add_names(attacks);
  add_entries(attacks);
  add_cover(attacks);
  add_changes(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
