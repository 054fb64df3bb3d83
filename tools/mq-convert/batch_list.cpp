#include "tools/mq-convert/batch_list.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>

#include "formats/file_names.hpp"
#include "formats/io/file.hpp"
#include "mq/error.hpp"
#include "mq/limits.hpp"
#include "src/recipe_cursor.hpp"

namespace mq::tool {
namespace {

constexpr std::array<std::string_view, 3> kKeys = {"input", "output", "recipe"};

BatchItem parse_object(std::string_view line, const std::string& place) {
  const RecipeText text{line, place};
  const json::Value whole = parse_recipe_json(text);
  const RecipeCursor at(whole, "", text);
  at.require_keys(kKeys);
  BatchItem item{.input = at.member("input").string()};
  if (const auto value = at.find("output")) item.output = value->string();
  if (const auto value = at.find("recipe")) item.recipe = value->string();
  return item;
}

BatchItem parse_words(std::string_view line) {
  const std::size_t tab = line.find('\t');
  BatchItem item{.input = std::string(line.substr(0, tab))};
  if (tab != std::string_view::npos) item.output = line.substr(tab + 1);
  return item;
}

BatchItem parse_line(std::string_view line, std::size_t number, const std::string& source) {
  const std::string place = source + ":" + std::to_string(number);
  BatchItem item = line.front() == '{' ? parse_object(line, place) : parse_words(line);
  item.line = number;
  const bool named = !item.output.empty() || line.find('\t') != std::string_view::npos;
  if (item.input.empty()) throw Error({.code = ErrorCode::Usage, .message = "no input", .file = place});
  if (named && !formats::is_plain_name(item.output)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "the name of the output",
                 .file = place,
                 .expected = "a name without slashes: all outputs lie in one folder",
                 .found = item.output.empty() ? "nothing" : item.output});
  }
  return item;
}

}  // namespace

std::vector<BatchItem> parse_batch_list(std::string_view text, const std::string& source) {
  std::vector<BatchItem> items;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    items.push_back(parse_line(line, number, source));
  }
  return items;
}

std::string read_batch_list(const std::filesystem::path& path) {
  const std::uint64_t most = Limits().header_bytes;
  if (path != "-") return io::read_text(path, most);
  std::string text;
  std::array<char, 65536> chunk;
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) io::throw_io("standard input", "read", errno);
    if (n == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(n));
    if (text.size() > most) throw Error(ErrorCode::Limit, "the list on standard input is too long");
  }
}

}  // namespace mq::tool
