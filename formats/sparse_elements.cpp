#include "formats/sparse_elements.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "formats/value_sum.hpp"
#include "mq/error.hpp"

namespace mq::formats {
namespace {

// Values read at once.
constexpr std::int64_t kPieceBytes = 256 * 1024;

// Adjacent elements that are stored together.
struct Run {
  std::int64_t at;     // of the dense tensor
  std::int64_t value;  // of the values
};

class SparseElements final : public ElementSource {
 public:
  explicit SparseElements(SparseParts parts) : parts_(std::move(parts)) {
    for (std::size_t i = static_cast<std::size_t>(parts_.sparse_dims); i < parts_.shape.size(); ++i) {
      dense_numel_ *= parts_.shape[i];
    }
    run_numel_ = parts_.block_cols * dense_numel_;
  }

  void read(std::int64_t first, std::int64_t count, std::span<std::byte> out) const override {
    std::call_once(located_, [&] { locate(); });
    std::ranges::fill(out, std::byte{0});
    if (run_numel_ == 0) return;
    const std::int64_t end = first + count;
    const auto before = [&](const Run& run, std::int64_t at) { return run.at + run_numel_ <= at; };
    auto run = std::lower_bound(runs_.begin(), runs_.end(), first, before);
    std::vector<std::byte> buffer;
    while (run != runs_.end() && run->at < end) {
      // Runs whose values follow each other are read together.
      const std::int64_t most = std::max<std::int64_t>(1, kPieceBytes / (run_numel_ * item_bytes()));
      auto last = run + 1;
      while (last != runs_.end() && last->at < end && last - run < most &&
             last->value == run->value + (last - run) * run_numel_) {
        ++last;
      }
      if (last - run == 1) {
        add_part(*run, std::max(first, run->at), std::min(end, run->at + run_numel_), first, out, buffer);
      } else {
        buffer.resize(static_cast<std::size_t>((last - run) * run_numel_ * item_bytes()));
        read_place(parts_.values.place, parts_.dtype, run->value, (last - run) * run_numel_, buffer);
        for (auto one = run; one != last; ++one) {
          const std::byte* values = buffer.data() + (one - run) * run_numel_ * item_bytes();
          add(one->at, values, std::max(first, one->at), std::min(end, one->at + run_numel_), first, out);
        }
      }
      run = last;
    }
  }

 private:
  std::int64_t item_bytes() const { return info(parts_.dtype).block_bytes; }

  // The elements [begin, end) of a run, which may be a small part of it.
  void add_part(const Run& run, std::int64_t begin, std::int64_t end, std::int64_t first, std::span<std::byte> out,
                std::vector<std::byte>& buffer) const {
    const std::int64_t most = std::max<std::int64_t>(1, kPieceBytes / item_bytes());
    for (std::int64_t at = begin; at < end; at += most) {
      const std::int64_t numel = std::min(most, end - at);
      buffer.resize(static_cast<std::size_t>(numel * item_bytes()));
      read_place(parts_.values.place, parts_.dtype, run.value + at - run.at, numel, buffer);
      add(at, buffer.data(), at, at + numel, first, out);
    }
  }

  // values are those of the elements from `values_at` on; [begin, end) of them are added.
  void add(std::int64_t values_at, const std::byte* values, std::int64_t begin, std::int64_t end, std::int64_t first,
           std::span<std::byte> out) const {
    const std::span target = out.subspan(static_cast<std::size_t>((begin - first) * item_bytes()),
                                         static_cast<std::size_t>((end - begin) * item_bytes()));
    const std::span added(values + (begin - values_at) * item_bytes(), target.size());
    if (add_values(parts_.dtype, target, added)) return;
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "values of this type are not added to others in a sparse tensor",
                 .file = parts_.source,
                 .tensor = parts_.tensor,
                 .found = std::string(to_string(parts_.dtype))});
  }

  [[noreturn]] void corrupt(std::string message, std::string expected, std::int64_t found) const {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = std::move(message),
                 .file = parts_.source,
                 .tensor = parts_.tensor,
                 .expected = std::move(expected),
                 .found = std::to_string(found)});
  }

  std::vector<std::int64_t> integers(const SparsePart& part) const {
    const std::int64_t width = info(part.dtype).block_bytes;
    std::vector<std::byte> bytes(static_cast<std::size_t>(part.numel * width));
    read_place(part.place, part.dtype, 0, part.numel, bytes);
    std::vector<std::int64_t> out(static_cast<std::size_t>(part.numel));
    if (width == 8) {
      std::ranges::copy(bytes, std::as_writable_bytes(std::span(out)).begin());
      return out;
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::int32_t value;
      std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
      out[i] = value;
    }
    return out;
  }

  void require_index(std::int64_t index, std::int64_t size) const {
    if (index < 0 || index >= size) corrupt("index of a sparse tensor", "0 to " + std::to_string(size - 1), index);
  }

  void locate() const {
    std::vector<Run> runs;
    runs.reserve(static_cast<std::size_t>(parts_.entries * parts_.block_rows));
    if (parts_.layout == SparseLayout::Coordinates) {
      locate_coordinates(runs);
    } else {
      locate_compressed(runs);
    }
    const auto by_place = [](const Run& a, const Run& b) { return a.at < b.at; };
    if (!std::ranges::is_sorted(runs, by_place)) std::ranges::stable_sort(runs, by_place);
    runs_ = std::move(runs);
  }

  void locate_coordinates(std::vector<Run>& runs) const {
    const std::vector<std::int64_t> indices = integers(parts_.indices);
    const std::int64_t entries = parts_.entries;
    for (std::int64_t i = 0; i < entries; ++i) {
      std::int64_t at = 0;
      for (std::int64_t d = 0; d < parts_.sparse_dims; ++d) {
        const std::int64_t index = indices[static_cast<std::size_t>(d * entries + i)];
        const std::int64_t size = parts_.shape[static_cast<std::size_t>(d)];
        require_index(index, size);
        at = at * size + index;
      }
      runs.push_back({at * dense_numel_, i * dense_numel_});
    }
  }

  void locate_compressed(std::vector<Run>& runs) const {
    const std::vector<std::int64_t> pointers = integers(parts_.pointers);
    const std::vector<std::int64_t> indices = integers(parts_.indices);
    const bool rows_first = parts_.layout == SparseLayout::CompressedRows;
    const std::int64_t cols = parts_.shape[1];
    const std::int64_t plain = rows_first ? cols / parts_.block_cols : parts_.shape[0] / parts_.block_rows;
    if (pointers.front() != 0) corrupt("first pointer of a sparse tensor", "0", pointers.front());
    if (pointers.back() != parts_.entries) {
      corrupt("last pointer of a sparse tensor", std::to_string(parts_.entries), pointers.back());
    }
    for (std::size_t major = 0; major + 1 < pointers.size(); ++major) {
      if (pointers[major + 1] < pointers[major] || pointers[major + 1] > parts_.entries) {
        corrupt("pointer of a sparse tensor", std::to_string(pointers[major]) + " or more", pointers[major + 1]);
      }
      for (std::int64_t entry = pointers[major]; entry < pointers[major + 1]; ++entry) {
        const std::int64_t minor = indices[static_cast<std::size_t>(entry)];
        require_index(minor, plain);
        const std::int64_t row = rows_first ? static_cast<std::int64_t>(major) : minor;
        const std::int64_t col = rows_first ? minor : static_cast<std::int64_t>(major);
        for (std::int64_t i = 0; i < parts_.block_rows; ++i) {
          const std::int64_t at = (row * parts_.block_rows + i) * cols + col * parts_.block_cols;
          runs.push_back({at * dense_numel_, (entry * parts_.block_rows + i) * run_numel_});
        }
      }
    }
  }

  SparseParts parts_;
  std::int64_t dense_numel_ = 1;  // of one place of the sparse dimensions
  std::int64_t run_numel_ = 1;
  mutable std::once_flag located_;
  mutable std::vector<Run> runs_;  // by place
};

}  // namespace

std::shared_ptr<const ElementSource> make_sparse_elements(SparseParts parts) {
  const auto require = [&](const char* what, std::int64_t most, std::int64_t found) {
    if (found <= most) return;
    throw Error({.code = ErrorCode::Limit,
                 .message = std::string(what) + " of a sparse tensor",
                 .file = parts.source,
                 .tensor = parts.tensor,
                 .expected = "at most " + std::to_string(most),
                 .found = std::to_string(found)});
  };
  require("entries", kMaxSparseEntries / std::max<std::int64_t>(1, parts.block_rows), parts.entries);
  // Both are read as a whole, and a view may make a few stored numbers into any number of them.
  require("pointers", kMaxSparseIndices, parts.pointers.numel);
  require("indices", kMaxSparseIndices, parts.indices.numel);
  return std::make_shared<SparseElements>(std::move(parts));
}

}  // namespace mq::formats
