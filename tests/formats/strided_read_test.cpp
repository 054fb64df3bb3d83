#include "formats/strided_read.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace mq::formats;

namespace {

// A storage of consecutive 32-bit numbers, and a record of how it was read.
struct Storage {
  std::vector<std::uint32_t> elements;
  std::size_t reads = 0;
  std::size_t bytes = 0;
  std::size_t longest = 0;

  explicit Storage(std::size_t count) : elements(count) {
    for (std::size_t i = 0; i < count; ++i) elements[i] = static_cast<std::uint32_t>(i);
  }

  std::vector<std::uint32_t> read(const StridedView& view, std::int64_t first, std::int64_t count) {
    std::vector<std::uint32_t> out(static_cast<std::size_t>(count), 0xdeadbeef);
    read_strided(view, 4, first, count, std::as_writable_bytes(std::span(out)),
                 [&](std::uint64_t at, std::span<std::byte> piece) {
                   REQUIRE(at + piece.size() <= elements.size() * 4);
                   std::memcpy(piece.data(), reinterpret_cast<const std::byte*>(elements.data()) + at, piece.size());
                   ++reads;
                   bytes += piece.size();
                   longest = std::max(longest, piece.size());
                 });
    return out;
  }
};

// Element i of the row-major order, by the definition.
std::uint32_t element(const StridedView& view, std::int64_t i) {
  std::int64_t at = view.offset;
  for (std::size_t d = view.shape.size(); d-- > 0;) {
    at += i % view.shape[d] * view.strides[d];
    i /= view.shape[d];
  }
  return static_cast<std::uint32_t>(at);
}

bool is_right(const StridedView& view, std::int64_t first, const std::vector<std::uint32_t>& found) {
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i] != element(view, first + static_cast<std::int64_t>(i))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("strided: contiguous are the views whose elements follow each other, whatever strides sizes of 1 have") {
  CHECK(is_contiguous({0, {}, {}}));
  CHECK(is_contiguous({5, {2, 3}, {3, 1}}));
  CHECK(is_contiguous({0, {1, 3}, {77, 1}}));
  CHECK(is_contiguous({0, {3, 1}, {1, 9}}));
  CHECK(is_contiguous({0, {4, 0}, {1, 9}}));
  CHECK_FALSE(is_contiguous({0, {2, 3}, {1, 2}}));
  CHECK_FALSE(is_contiguous({0, {2, 3}, {4, 1}}));
  CHECK_FALSE(is_contiguous({0, {2}, {0}}));
}

TEST_CASE("strided: random views of random ranks give every range as the definition does") {
  std::mt19937 random(7);
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  for (int round = 0; round < 400; ++round) {
    StridedView view{below(5), {}, {}};
    std::int64_t numel = 1, last = view.offset;
    for (std::int64_t rank = below(5); rank > 0; --rank) {
      view.shape.push_back(1 + below(6));
      view.strides.push_back(below(3) == 0 ? below(2) : below(30));
      numel *= view.shape.back();
      last += (view.shape.back() - 1) * view.strides.back();
    }
    Storage storage(static_cast<std::size_t>(last + 1));
    for (int range = 0; range < 5; ++range) {
      const std::int64_t first = below(numel), count = below(numel - first + 1);
      REQUIRE(is_right(view, first, storage.read(view, first, count)));
    }
    REQUIRE(is_right(view, 0, storage.read(view, 0, numel)));
  }
}

TEST_CASE("strided: a transposed matrix larger than the buffer is read once, in bounded pieces") {
  const std::int64_t rows = 900, columns = 1500;
  const StridedView view{3, {columns, rows}, {1, columns}};
  Storage storage(static_cast<std::size_t>(rows * columns) + 3);
  CHECK(is_right(view, 0, storage.read(view, 0, rows * columns)));
  CHECK(storage.longest <= kGatherBytes);
  CHECK(storage.bytes <= storage.elements.size() * 4);
  CHECK(storage.reads <= 3);
  // Rows farther apart than is worth reading over, but nothing lies between them.
  const StridedView wide{0, {6000, 600}, {1, 6000}};
  Storage large(6000 * 600);
  CHECK(is_right(wide, 0, large.read(wide, 0, 6000 * 600)));
  CHECK(large.reads <= 5);
}

TEST_CASE("strided: a band of a wide transposed matrix reads its runs and not what lies between them") {
  const std::int64_t rows = 300, columns = 10'000;  // runs are 40 kB apart
  const StridedView view{0, {columns, rows}, {1, columns}};
  Storage storage(static_cast<std::size_t>(rows * columns));
  CHECK(is_right(view, 500 * rows, storage.read(view, 500 * rows, 64 * rows)));
  CHECK(storage.bytes == static_cast<std::size_t>(64 * rows * 4));
  CHECK(storage.reads == static_cast<std::size_t>(rows));
  // Single elements are not worth a call each.
  storage.reads = 0;
  CHECK(is_right(view, 7 * rows, storage.read(view, 7 * rows, rows)));
  CHECK(storage.reads <= 20);
  CHECK(storage.longest <= kGatherBytes);
}

TEST_CASE("strided: an expanded element is read once however often it is repeated") {
  Storage storage(4);
  const StridedView view{1, {1000, 1000, 3}, {0, 0, 1}};
  CHECK(is_right(view, 0, storage.read(view, 0, 3'000'000)));
  CHECK(storage.reads == 1);
  const StridedView far{0, {std::int64_t{1} << 40, 1 << 20}, {0, 0}};
  CHECK(is_right(far, (std::int64_t{1} << 59) + 5, storage.read(far, (std::int64_t{1} << 59) + 5, 100)));
}

TEST_CASE("strided: elements of every width are moved whole") {
  for (const std::size_t width : {1, 2, 4, 8, 16}) {
    std::string storage(48 * width, '\0'), out(48 * width, '\0');
    for (std::size_t i = 0; i < storage.size(); ++i) storage[i] = static_cast<char>(i * 5 + i / 256);
    read_strided({0, {6, 8}, {1, 6}}, width, 0, 48, std::as_writable_bytes(std::span(out)),
                 [&](std::uint64_t at, std::span<std::byte> piece) {
                   std::memcpy(piece.data(), storage.data() + at, piece.size());
                 });
    for (std::size_t i = 0; i < 48; ++i) {
      CHECK(out.substr(i * width, width) == storage.substr((i / 8 + i % 8 * 6) * width, width));
    }
  }
}
