// PyTorch checkpoints as they are written. tests/interop/torch_check.py holds them against PyTorch itself.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "formats/crc.hpp"
#include "formats/crc_combine.hpp"
#include "formats/zip.hpp"
#include "formats/zip_layout.hpp"
#include "mq/audit.hpp"
#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::NamedBytes;
using test::sample;
namespace zip = formats::zip;

namespace {

constexpr std::string_view kFormat = "torch_zip";

template <class T>
NamedBytes values(std::string name, DType dtype, Shape shape, const std::vector<T>& list) {
  NamedBytes made{.tensor = {.name = std::move(name), .dtype = dtype, .shape = std::move(shape)}, .bytes = {}};
  made.bytes.assign(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(T));
  return made;
}

// As read_checkpoint() gives them: without ties, which the container numbers.
std::vector<NamedBytes> read_back(const std::filesystem::path& path) {
  std::vector<NamedBytes> tensors = test::read_checkpoint(*open_checkpoint(path));
  for (NamedBytes& entry : tensors) entry.tensor.storage = 0;
  return tensors;
}

std::vector<NamedBytes> by_name(std::vector<NamedBytes> tensors) {
  std::ranges::sort(tensors, {}, [](const NamedBytes& entry) { return entry.tensor.name; });
  return tensors;
}

void write_and_compare(const std::vector<NamedBytes>& tensors) {
  const test::TempDir dir;
  test::write_checkpoint(dir / "m.pt", kFormat, tensors);
  CHECK(read_back(dir / "m.pt") == by_name(tensors));
  CHECK(std::filesystem::file_size(dir / "m.pt") ==
        static_cast<std::uint64_t>(layout_size_bytes(test::layout_of(tensors), kFormat)));
  CHECK(audit(dir / "m.pt").verdict() == Verdict::Known);
}

std::vector<NamedBytes> quantized() {
  return {values<std::int8_t>("t", DType::Int8, {2, 3}, {-128, -1, 0, 1, 2, 127}),
          values<double>("t.q_scale", DType::Float64, {1, 1}, {0.1234567890123}),
          values<std::int64_t>("t.q_zero_point", DType::Int64, {1, 1}, {-7}),
          values<std::uint8_t>("c", DType::UInt8, {2, 3}, {0, 1, 2, 253, 254, 255}),
          values<double>("c.q_scale", DType::Float64, {1, 3}, {0.5, 0.25, 3e-9}),
          values<std::int64_t>("c.q_zero_point", DType::Int64, {1, 3}, {0, 128, 255}),
          sample("plain.weight", DType::Float32, {3, 5})};
}

// Names of records in their order.
std::vector<std::string> records_of(const std::filesystem::path& path) {
  const formats::ZipArchive archive(io::File::open(path));
  std::vector<std::string> names;
  for (const formats::ZipRecord& record : archive.records()) names.push_back(record.name);
  return names;
}

// What a name or type is refused with.
std::string refusal(std::vector<TensorInfo> tensors, Metadata metadata = {}) {
  const test::TempDir dir;
  Layout layout{.tensors = std::move(tensors), .metadata = std::move(metadata)};
  layout.limits.output_name_bytes = 20;
  const std::string message = test::message_of([&] { create_checkpoint(dir / "out.pt", kFormat)->begin(layout); });
  CHECK(std::filesystem::is_empty(dir.path()));
  return message;
}

}  // namespace

TEST_CASE("torch: tensors of every type, rank and size come back equal") {
  std::vector<NamedBytes> tensors = {sample("scalar", DType::Float32, {}),
                                     sample("empty", DType::Float16, {0, 3}),
                                     sample("rank 5", DType::Int16, {2, 1, 3, 1, 2}),
                                     sample("bool", DType::Bool, {9}),
                                     sample("größe.\"weight\"\n", DType::Float64, {2}),
                                     sample("", DType::UInt8, {3}),
                                     sample("a/../b", DType::Int64, {70000})};
  for (const DType dtype : {DType::UInt16, DType::Int32, DType::UInt64, DType::BFloat16, DType::Float8E4M3FN,
                            DType::Float8E5M2, DType::Float8E8M0FNU, DType::Complex32, DType::Complex64}) {
    tensors.push_back(sample("type." + std::string(to_string(dtype)), dtype, {2, 2}));
  }
  write_and_compare(tensors);
}

TEST_CASE("torch: thousands of tensors, and a pickle of more than one batch") {
  std::vector<NamedBytes> tensors;
  for (int i = 0; i < 2500; ++i) tensors.push_back(sample("layer." + std::to_string(i), DType::Int8, {i % 7}));
  write_and_compare(tensors);
}

TEST_CASE("torch: a tensor with scales and zero points is one quantized tensor of the pickle") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors = quantized();
  test::write_checkpoint(dir / "m.pt", kFormat, tensors);
  CHECK(read_back(dir / "m.pt") == by_name(tensors));
  const formats::ZipArchive archive(io::File::open(dir / "m.pt"));
  const std::string pickle = archive.read_text(*archive.find("archive/data.pkl"), 1 << 20);
  for (const char* part :
       {"_rebuild_qtensor", "QInt8Storage", "QUInt8Storage", "per_tensor_affine", "per_channel_affine"}) {
    CHECK(pickle.find(part) != std::string::npos);
  }
  CHECK(pickle.find("q_scale") == std::string::npos);
  // The scale of the tensor is a float of the pickle, the most significant byte first.
  std::string scale(8, '\0');
  const double number = 0.1234567890123;
  std::memcpy(scale.data(), &number, sizeof number);
  std::ranges::reverse(scale);
  CHECK(pickle.find("G" + scale) != std::string::npos);
  // Integers of t and c, scales and zero points of c, the plain tensor.
  CHECK(std::ranges::count_if(records_of(dir / "m.pt"),
                              [](const std::string& name) { return name.starts_with("archive/data/"); }) == 5);
}

TEST_CASE("torch: tensors that are only called like parameters stay tensors") {
  std::vector<NamedBytes> tensors = quantized();
  tensors[1] = values<float>("t.q_scale", DType::Float32, {1, 1}, {0.5F});  // a type that PyTorch does not have there
  tensors[4] = values<double>("c.q_scale", DType::Float64, {3}, {1, 2, 3});
  tensors.push_back(values<double>("gone.q_scale", DType::Float64, {1}, {1}));
  write_and_compare(tensors);
}

TEST_CASE("torch: the records are those of torch.save, with checksums, in its order") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "m.pt", kFormat, {sample("b", DType::Float32, {4}), sample("a", DType::Int8, {0})},
                         {{"note", std::string("größe")}});
  CHECK(records_of(dir / "m.pt") == std::vector<std::string>{"archive/data.pkl", "archive/extra/metadata.json",
                                                             "archive/.format_version", "archive/.storage_alignment",
                                                             "archive/byteorder", "archive/data/0", "archive/data/1",
                                                             "archive/version", "archive/.data/serialization_id"});
  const formats::ZipArchive archive(io::File::open(dir / "m.pt"));
  for (const formats::ZipRecord& record : archive.records()) {
    CAPTURE(record.name);
    CHECK(record.data_offset % 64 == 0);
    CHECK((record.crc != 0 || record.size_bytes == 0));
    CHECK_NOTHROW(archive.read_text(record, 1 << 20));  // compares the checksum
  }
  CHECK(archive.read_text(*archive.find("archive/.data/serialization_id"), 100).size() == 40);
  CHECK(open_checkpoint(dir / "m.pt")->metadata() == Metadata{{"note", std::string("größe")}});
}

TEST_CASE("torch: tiles in any order, of columns too, give the same bytes") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors = {sample("w", DType::Int16, {6, 10}), sample("v", DType::Float32, {3})};
  test::write_checkpoint(dir / "whole.pt", kFormat, tensors);
  const auto writer = create_checkpoint(dir / "tiles.pt", kFormat);
  writer->begin(test::layout_of(tensors));
  const auto bytes = std::as_bytes(std::span(tensors[0].bytes));
  constexpr std::int64_t kRow = 20, kSplit = 14;
  for (const std::int64_t row : {4, 0, 2}) {
    for (const bool right : {true, false}) {
      std::vector<std::byte> tile;
      for (std::int64_t r = row; r < row + 2; ++r) {
        const auto part = bytes.subspan(static_cast<std::size_t>(r * kRow), kRow);
        const auto piece = right ? part.subspan(kSplit) : part.first(kSplit);
        tile.insert(tile.end(), piece.begin(), piece.end());
      }
      writer->write(0, row, 2, right ? kSplit : 0, kRow, tile);
    }
  }
  writer->write(1, 0, 1, 0, 12, std::as_bytes(std::span(tensors[1].bytes)));
  writer->finish();
  CHECK(test::read_file(dir / "tiles.pt") == test::read_file(dir / "whole.pt"));
}

TEST_CASE("torch: what an earlier run wrote is kept, parameters in the pickle too") {
  const test::TempDir dir;
  const std::vector<NamedBytes> tensors = quantized();
  test::write_checkpoint(dir / "whole.pt", kFormat, tensors);
  const auto start = [&] {
    auto writer = create_checkpoint(dir / "m.pt", kFormat, {.resume = true});
    writer->partial()->open();
    writer->begin(test::layout_of(tensors));
    return writer;
  };
  const auto put = [&](CheckpointWriter& writer, std::size_t i) {
    const auto bytes = std::as_bytes(std::span(tensors[i].bytes));
    writer.write(i, 0, 1, 0, static_cast<std::int64_t>(bytes.size()), bytes);
  };
  {
    const auto writer = start();
    for (std::size_t i = 0; i < 4; ++i) put(*writer, i);
  }
  const auto writer = start();
  for (std::size_t i = 0; i < 4; ++i) {
    std::vector<std::byte> kept(tensors[i].bytes.size());
    writer->partial()->read(i, 0, kept);
    CHECK(std::ranges::equal(kept, std::as_bytes(std::span(tensors[i].bytes))));
    writer->partial()->keep(i);
  }
  for (std::size_t i = 4; i < tensors.size(); ++i) put(*writer, i);
  writer->finish();
  CHECK(test::read_file(dir / "m.pt") == test::read_file(dir / "whole.pt"));
}

TEST_CASE("torch: what PyTorch cannot hold is refused before anything is written") {
  CHECK(refusal({{.name = "w", .dtype = DType::Q4_K, .shape = {256}}}).find("does not have this dtype") !=
        std::string::npos);
  CHECK(refusal({{.name = "w", .dtype = DType::Float4E2M1, .shape = {2}}}).find("float4_e2m1fn") != std::string::npos);
  CHECK(refusal({{.name = "w\xff"}}).find("not UTF-8") != std::string::npos);
  CHECK(refusal({{.name = "w"}, {.name = "w"}}).find("twice") != std::string::npos);
  CHECK(refusal({{.name = std::string(21, 'x')}}).find("bytes of a name") != std::string::npos);
  const auto large = std::int64_t{1} << 40;
  CHECK(refusal({{.name = "w", .shape = {0, large, large}}}).find("2^63") != std::string::npos);
  CHECK(refusal({}, {{"k", std::string("\xff")}}).find("metadata") != std::string::npos);
  CHECK(refusal({}, {{"k", true}}).find("metadata") != std::string::npos);
}

TEST_CASE("torch: metadata that is no object of texts is corrupt") {
  const test::TempDir dir;
  test::write_checkpoint(dir / "m.pt", kFormat, {sample("w", DType::Int8, {1})}, {{"k", std::string("vvvv")}});
  std::string bytes = test::read_file(dir / "m.pt");
  bytes.replace(bytes.find("\"vvvv\""), 6, "123456");
  test::write_file(dir / "m.pt", bytes);
  // Its checksum tells first.
  CHECK(test::code_of([&] { open_checkpoint(dir / "m.pt"); }) == ErrorCode::Corrupt);
}

// Offsets and structure as PyTorchFileWriter of PyTorch 2.15 made them, with 5 GiB that were never written.
TEST_CASE("zip layout: records beyond 4 GiB lie where PyTorch puts them") {
  struct Row {
    std::string_view name;
    std::uint64_t size, header, data, end;
  };
  const Row rows[] = {{"big/data.pkl", 3, 0, 64, 83},
                      {"big/data/0", std::uint64_t{5} << 30, 83, 192, 5368709336},
                      {"big/data/1", 5, 5368709336, 5368709440, 5368709469},
                      {"big/data/2", 0, 5368709469, 5368709568, 5368709568},
                      {"big/data/3", 15, 5368709568, 5368709632, 5368709671}};
  std::uint64_t at = 0;
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const zip::PlacedRecord record = zip::place_record(at, row.name, row.size);
    CHECK(record.header_offset == row.header);
    CHECK(record.data_offset == row.data);
    CHECK(record.end() == row.end);
    at = record.end();
  }
}

TEST_CASE("zip layout: headers and directory of a large record are PyTorch's") {
  const std::string_view name = "big/data/3";
  const zip::PlacedRecord record = zip::place_record(5368709568, name, 15);
  std::string local, central, descriptor, end;
  zip::append_local_header(local, record, name);
  zip::append_descriptor(descriptor, record, 0x3e21b40b);
  zip::append_central(central, record, name, 0x3e21b40b);
  zip::append_end(end, 5368710080, 562, 8);
  const auto text = [](std::initializer_list<int> bytes) {
    std::string out;
    for (const int byte : bytes) out += static_cast<char>(byte);
    return out;
  };
  CHECK(local ==
        text({'P', 'K', 3, 4, 0, 0, 8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 24, 0}) +
            std::string(name) + text({1, 0, 8, 0, 0xc0, 1, 0, 0x40, 1, 0, 0, 0, 'F', 'B', 8, 0}) + "ZZZZZZZZ");
  CHECK(descriptor == text({'P', 'K', 7, 8, 0x0b, 0xb4, 0x21, 0x3e, 15, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(central == text({'P', 'K', 1, 2, 0,  0, 0,  0, 8, 8, 0, 0, 0, 0, 0, 0, 0x0b, 0xb4, 0x21, 0x3e, 15,   0,   0, 0,
                         15,  0,   0, 0, 10, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0xff, 0xff, 0xff, 0xff}) +
                       std::string(name) + text({1, 0, 8, 0, 0xc0, 1, 0, 0x40, 1, 0, 0, 0}));
  CHECK(central.size() == zip::central_bytes(record, name));
  CHECK(end.size() == zip::end_bytes());
  CHECK(end == text({'P',  'K', 6, 6, 44,   0, 0, 0,    0,    0, 0, 0,    0x1e, 3,    45,   0,    0,   0,   0, 0,
                     0,    0,   0, 0, 8,    0, 0, 0,    0,    0, 0, 0,    8,    0,    0,    0,    0,   0,   0, 0,
                     0x32, 2,   0, 0, 0,    0, 0, 0,    0xc0, 3, 0, 0x40, 1,    0,    0,    0,    'P', 'K', 6, 7,
                     0,    0,   0, 0, 0xf2, 5, 0, 0x40, 1,    0, 0, 0,    1,    0,    0,    0,    'P', 'K', 5, 6,
                     0,    0,   0, 0, 8,    0, 8, 0,    0x32, 2, 0, 0,    0xff, 0xff, 0xff, 0xff, 0,   0}));
}

TEST_CASE("zip layout: more than 2^63 bytes are refused") {
  CHECK(test::code_of([] { zip::place_record(1, "a", std::uint64_t{1} << 63); }) == ErrorCode::Limit);
  CHECK(test::code_of([] { zip::place_record(std::uint64_t{1} << 63, "a", 1); }) == ErrorCode::Limit);
}

TEST_CASE("crc: the shares of pieces in any order make the checksum of the whole") {
  const std::string text = sample("any", DType::UInt8, {1000}).bytes;
  const auto bytes = std::as_bytes(std::span(text));
  for (const std::size_t piece : {1u, 7u, 250u, 1000u}) {
    std::uint32_t crc = formats::crc32_of_zeros(bytes.size());
    for (std::size_t end = bytes.size(); end > 0;) {
      const std::size_t begin = end - std::min(piece, end);
      const auto part = bytes.subspan(begin, end - begin);
      crc ^= formats::crc32_share(formats::crc32(0, part), part.size(), bytes.size() - end);
      end = begin;
    }
    CHECK(crc == formats::crc32(0, bytes));
  }
  const std::vector<std::byte> zeros(333);
  CHECK(formats::crc32_of_zeros(333) == formats::crc32(0, zeros));
}
