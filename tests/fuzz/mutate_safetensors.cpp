#include <array>
#include <vector>

#include "tests/fuzz/mutators.hpp"
#include "tests/support/checkpoints.hpp"

namespace mq::fuzz {
namespace {

constexpr std::size_t kLengthBytes = 8;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// The runs of digits in a text: begin and end of each.
std::vector<std::pair<std::size_t, std::size_t>> numbers_in(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> runs;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_digit(text[i])) continue;
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    runs.emplace_back(i, end);
    i = end;
  }
  return runs;
}

// Puts another number in the place of one, sometimes in two places: a shape and an offset that still agree.
std::string change_number(std::string json, Random& random) {
  constexpr std::array<std::string_view, 14> kNumbers{"0",
                                                      "1",
                                                      "2",
                                                      "3",
                                                      "8",
                                                      "64",
                                                      "255",
                                                      "4294967296",
                                                      "9223372036854775807",
                                                      "9223372036854775808",
                                                      "18446744073709551615",
                                                      "18446744073709551616",
                                                      "1.0",
                                                      "-1"};
  const auto runs = numbers_in(json);
  if (runs.empty()) return json;
  const auto [begin, end] = runs[below(random, runs.size())];
  const std::string old = json.substr(begin, end - begin);
  const std::string number =
      one_in(random, 2) ? std::string(kNumbers[below(random, kNumbers.size())]) : std::to_string(below(random, 70));
  if (!one_in(random, 3)) return json.replace(begin, end - begin, number);
  std::string out;
  std::size_t at = 0;
  for (const auto& [first, last] : runs) {
    out += json.substr(at, first - at);
    out += json.substr(first, last - first) == old ? number : json.substr(first, last - first);
    at = last;
  }
  return out + json.substr(at);
}

// Repeats or removes a part between two structural characters.
std::string change_structure(std::string json, Random& random) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (std::string_view(",{}[]:\"").find(json[i]) != std::string_view::npos) cuts.push_back(i);
  }
  if (cuts.size() < 2) return json;
  std::size_t a = cuts[below(random, cuts.size())], b = cuts[below(random, cuts.size())];
  if (a > b) std::swap(a, b);
  const std::string part = json.substr(a, b - a);
  if (one_in(random, 2)) return json.erase(a, b - a);
  return json.insert(cuts[below(random, cuts.size())], part);
}

// Data as long as the largest number of the header says, if that is not too long.
void fit_data(std::string_view json, std::string& data, std::size_t max_bytes) {
  std::size_t most = 0;
  for (const auto& [begin, end] : numbers_in(json)) {
    if (end - begin < 7) most = std::max<std::size_t>(most, std::stoul(std::string(json.substr(begin, end - begin))));
  }
  if (most <= max_bytes) data.resize(most, 'd');
}

}  // namespace

std::string mutate_bytes(std::string_view text, std::size_t max_bytes) {
  std::string buffer(text.substr(0, max_bytes));
  const std::size_t size = buffer.size();
  buffer.resize(std::max<std::size_t>(max_bytes, 1));
  buffer.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(buffer.data()), size, buffer.size()));
  return buffer;
}

std::string mutate_safetensors(std::string_view file, std::size_t max_bytes, Random& random) {
  if (file.size() < kLengthBytes || one_in(random, 8)) return mutate_bytes(file, max_bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  const std::string_view rest = file.substr(kLengthBytes);
  std::string json(rest.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(length, rest.size()))));
  std::string data(rest.substr(json.size()));
  const std::size_t room = max_bytes - std::min(max_bytes, kLengthBytes + data.size());
  switch (below(random, 8)) {
    case 0:
    case 1:
    case 2:
      json = mutate_bytes(json, room);
      break;
    case 3:
    case 4:
      json = change_number(std::move(json), random);
      break;
    case 5:
    case 6:
      json = change_structure(std::move(json), random);
      break;
    default:
      data = mutate_bytes(data, max_bytes - std::min(max_bytes, kLengthBytes + json.size()));
  }
  if (one_in(random, 2)) fit_data(json, data, max_bytes);
  return test::safetensors_bytes(json, data);
}

}  // namespace mq::fuzz
