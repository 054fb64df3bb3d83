#include <array>
#include <optional>

#include "tests/fuzz/mutators.hpp"
#include "tests/support/gguf_builder.hpp"

namespace mq::fuzz {
namespace {

using test::GgufBuilder;
using test::GgufTensor;

// Weights and bytes of a block, for data that is as long as the header says.
struct Block {
  std::int32_t type;
  std::int64_t weights;
  std::size_t bytes;
};
constexpr std::array kBlocks{Block{0, 1, 4},      Block{1, 1, 2},      Block{2, 32, 18},    Block{3, 32, 20},
                             Block{6, 32, 22},    Block{7, 32, 24},    Block{8, 32, 34},    Block{10, 256, 84},
                             Block{11, 256, 110}, Block{12, 256, 144}, Block{13, 256, 176}, Block{14, 256, 210},
                             Block{16, 256, 66},  Block{20, 32, 18},   Block{23, 256, 136}, Block{24, 1, 1},
                             Block{28, 1, 8},     Block{30, 1, 2},     Block{34, 256, 54},  Block{39, 32, 17},
                             Block{40, 64, 36},   Block{42, 64, 18}};

// Reads numbers and strings until they no longer make sense.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  T number() {
    T value{};
    const std::string_view taken = take(sizeof(T));
    if (taken.size() == sizeof(T)) std::memcpy(&value, taken.data(), sizeof(T));
    return value;
  }
  std::string_view text() { return take(number<std::uint64_t>()); }
  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) failed_ = true;
    const std::string_view taken =
        bytes_.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes_.size())));
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  bool failed() const { return failed_; }
  std::size_t left() const { return bytes_.size(); }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

void skip_value(Cursor& cursor, std::uint32_t type, int depth = 0) {
  constexpr std::array<std::size_t, 13> kBytes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  if (type == 8) {
    cursor.text();
  } else if (type == 9) {
    const auto element = cursor.number<std::uint32_t>();
    const auto count = cursor.number<std::uint64_t>();
    for (std::uint64_t i = 0; i < count && !cursor.failed() && depth < 2; ++i) {
      const std::size_t left = cursor.left();
      skip_value(cursor, element, depth + 1);
      if (cursor.left() == left) break;
    }
  } else if (type < kBytes.size()) {
    cursor.take(kBytes[type]);
  }
}

// What the file says, as far as it can be followed; false if that is too little to be of use.
bool parse(std::string_view file, GgufBuilder& out) {
  Cursor cursor(file);
  cursor.take(4);
  out.version = cursor.number<std::uint32_t>();
  const auto tensors = cursor.number<std::int64_t>(), values = cursor.number<std::int64_t>();
  for (std::int64_t i = 0; i < values && i < 64; ++i) {
    const std::size_t before = cursor.left();
    cursor.text();
    skip_value(cursor, cursor.number<std::uint32_t>());
    if (cursor.failed()) return false;
    out.values.emplace_back(file.substr(file.size() - before, before - cursor.left()));
  }
  for (std::int64_t i = 0; i < tensors && i < 64; ++i) {
    GgufTensor tensor{.name = std::string(cursor.text()), .ne = {}, .type = 0, .data = {}};
    const auto rank = cursor.number<std::uint32_t>();
    for (std::uint32_t d = 0; d < rank && d < 8; ++d) tensor.ne.push_back(cursor.number<std::int64_t>());
    tensor.type = cursor.number<std::int32_t>();
    cursor.number<std::uint64_t>();
    if (cursor.failed()) return false;
    out.tensors.push_back(std::move(tensor));
  }
  return true;
}

// Data as long as shape and type ask for, if that is short.
void fit_data(GgufTensor& tensor, std::size_t max_bytes) {
  const auto block = std::ranges::find(kBlocks, tensor.type, &Block::type);
  std::int64_t numel = 1;
  for (const std::int64_t size : tensor.ne) {
    if (size < 0 || size > 1'000'000 || numel > 1'000'000) return;
    numel *= size;
  }
  if (block == kBlocks.end()) return;
  const std::size_t bytes = static_cast<std::size_t>(numel / block->weights) * block->bytes;
  if (bytes <= max_bytes) tensor.data.assign(bytes, 'q');
}

void change_tensor(GgufTensor& tensor, Random& random) {
  constexpr std::array<std::int64_t, 10> kSizes{
      0, 1, 2, 3, 32, 64, 256, -1, std::int64_t{1} << 32, std::int64_t{1} << 62};
  switch (below(random, 6)) {
    case 0:
      tensor.name = mutate_bytes(tensor.name, 70);
      break;
    case 1:
      tensor.type = one_in(random, 3) ? static_cast<std::int32_t>(below(random, 50))
                                      : kBlocks[below(random, kBlocks.size())].type;
      break;
    case 2:
      tensor.ne.push_back(kSizes[below(random, kSizes.size())]);
      break;
    case 3:
      if (!tensor.ne.empty()) tensor.ne.pop_back();
      break;
    case 4:
      if (!tensor.ne.empty()) tensor.ne[below(random, tensor.ne.size())] = kSizes[below(random, kSizes.size())];
      break;
    default:
      if (one_in(random, 2)) {
        tensor.offset = below(random, 4) * 16;
      } else {
        tensor.rank = static_cast<std::uint32_t>(below(random, 7));
      }
  }
}

// A key with a value of any type, or part of one that exists.
std::string any_value(const GgufBuilder& file, Random& random) {
  GgufBuilder made;
  const std::string key = one_in(random, 3) ? "general.alignment" : "k" + std::to_string(below(random, 9));
  switch (below(random, 5)) {
    case 0:
      return made.u32(key, 1U << below(random, 23)).values[0];
    case 1:
      return made.text(key, "text").values[0];
    case 2:
      return made.array(key, static_cast<std::uint32_t>(below(random, 14)), below(random, 6), std::string(24, '\1'))
          .values[0];
    case 3:
      return made.value(key, static_cast<std::uint32_t>(below(random, 14)), std::string(1 + below(random, 9), '\1'))
          .values[0];
    default:
      return file.values.empty() ? made.text(key, "").values[0] : file.values[below(random, file.values.size())];
  }
}

void change(GgufBuilder& file, std::size_t room, Random& random) {
  const auto any = [&](auto& list) { return list.begin() + static_cast<std::ptrdiff_t>(below(random, list.size())); };
  switch (below(random, 10)) {
    case 0:
      file.values.push_back(any_value(file, random));
      break;
    case 1:
      if (!file.values.empty()) file.values.erase(any(file.values));
      break;
    case 2:
    case 3:
      if (!file.values.empty()) {
        std::string& value = *any(file.values);
        value = mutate_bytes(value, value.size() + std::min<std::size_t>(room, 64));
      }
      break;
    case 4:
      if (!file.tensors.empty()) {
        GgufTensor copy = *any(file.tensors);
        copy.name += 'x';
        file.tensors.push_back(std::move(copy));
      }
      break;
    case 5:
      if (!file.tensors.empty()) file.tensors.erase(any(file.tensors));
      break;
    case 6:
      if (one_in(random, 4)) file.version = static_cast<std::uint32_t>(below(random, 5));
      file.alignment = std::uint64_t{1} << below(random, 8);
      file.final_padding = one_in(random, 2);
      break;
    default:
      if (!file.tensors.empty()) change_tensor(*any(file.tensors), random);
  }
}

}  // namespace

std::string mutate_gguf(std::string_view file, std::size_t max_bytes, Random& random) {
  GgufBuilder parsed;
  if (one_in(random, 8) || !file.starts_with("GGUF") || !parse(file, parsed)) return mutate_bytes(file, max_bytes);
  const std::size_t room = max_bytes - std::min(max_bytes, file.size());
  for (std::size_t changes = 1 + below(random, 2); changes > 0; --changes) change(parsed, room, random);
  for (GgufTensor& tensor : parsed.tensors) fit_data(tensor, max_bytes / 2);
  const std::string bytes = parsed.bytes();
  return one_in(random, 10) ? mutate_bytes(bytes, max_bytes) : bytes;
}

}  // namespace mq::fuzz
