#include "tools/mq-convert/target.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "formats/format.hpp"
#include "mq/error.hpp"
#include "src/nearest.hpp"

namespace mq::tool {
namespace {

namespace fs = std::filesystem;

struct Suffix {
  std::string_view suffix;
  std::string_view container;  // as --to names it
};
constexpr std::array kSuffixes = {Suffix{".safetensors", "safetensors"}, Suffix{".pt", "torch"},
                                  Suffix{".pth", "torch"}, Suffix{".bin", "torch"}, Suffix{".gguf", "gguf"}};

// What the last dot of a file name begins, if that looks like a suffix: letters only, so that the 2 of
// "Llama-3.2-1B" begins none.
std::string suffix_of(const fs::path& path) {
  const std::string suffix = path.extension().string();
  const auto is_letter = [](char c) { return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z'); };
  const bool letters = suffix.size() > 1 && std::all_of(suffix.begin() + 1, suffix.end(), is_letter);
  return letters ? suffix : std::string();
}

std::string container_of(const std::string& suffix, const fs::path& path) {
  std::vector<std::string_view> known;
  for (const Suffix& row : kSuffixes) {
    if (row.suffix == suffix) return std::string(row.container);
    known.push_back(row.suffix);
  }
  const std::string near = did_you_mean(suffix, known);
  throw Error({.code = ErrorCode::Usage,
               .message = "the suffix names no container",
               .file = path.string(),
               .expected = ".safetensors, .pt or .gguf for a file, or a name without a suffix for a directory",
               .found = suffix,
               .hint = near.empty() ? "--to safetensors writes a file whatever its name" : near});
}

void require_writable(const Target& target) {
  std::string expected;
  for (const formats::Format* format : formats::all_formats()) {
    if (format->create == nullptr) continue;
    if (format->name == target.format) return;
    expected += (expected.empty() ? "" : ", ") + std::string(format->title) + " (" +
                (format->suffix.empty() ? "a name without a suffix" : std::string(format->suffix)) + ")";
  }
  throw Error({.code = ErrorCode::Usage,
               .message = "this container cannot be written yet",
               .file = target.path.string(),
               .expected = expected,
               .found = target.format});
}

// The path without links and without "." and ".." as far as it exists.
fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(path, error);
  if (error) real = fs::absolute(path, error).lexically_normal();
  // A slash at the end leaves an empty last component.
  return real.has_filename() ? real : real.parent_path();
}

bool contains(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

bool is_empty_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error) && fs::is_empty(path, error);
}

[[noreturn]] void refuse(const fs::path& out, std::string message) {
  throw Error({.code = ErrorCode::Usage,
               .message = std::move(message),
               .file = out.string(),
               .hint = "the input is never modified: choose another OUT"});
}

// What the writer cannot know: the folder that was opened, and its name. It refuses the files itself.
void refuse_input(const fs::path& out, const Checkpoint& input) {
  std::error_code error;
  const fs::path real = resolved(out);
  const fs::path whole = resolved(input.path());
  if (real == whole || fs::equivalent(out, input.path(), error)) refuse(out, "the output is the input");
  if (fs::is_directory(input.path(), error) && contains(whole, real)) refuse(out, "the output lies in the input");
}

}  // namespace

Target choose_target(const Options& options, const Checkpoint& input) {
  std::error_code error;
  const bool chosen = options.recipe.format != kAutoFormat;
  if (options.out.empty()) {
    if (chosen) return {{}, options.recipe.format};
    return {{}, fs::is_directory(input.path(), error) ? "hf_safetensors" : "safetensors"};
  }
  refuse_input(options.out, input);
  // With --resume the writer looks: it also clears up what the run that made OUT has left.
  if (!options.overwrite && !options.resume && fs::exists(options.out, error) && !is_empty_folder(options.out)) {
    throw Error({.code = ErrorCode::Io,
                 .message = "exists already",
                 .file = options.out.string(),
                 .hint = "--overwrite replaces it"});
  }
  const bool directory = !options.out.has_filename() || fs::is_directory(options.out, error);
  const std::string suffix = directory ? std::string() : suffix_of(options.out);
  Target target{options.out, options.to};
  if (target.format.empty() && !suffix.empty()) target.format = container_of(suffix, options.out);
  if (target.format == "safetensors" && suffix.empty()) target.format = "hf_safetensors";
  if (target.format == "torch") target.format = "torch_zip";
  if (target.format.empty()) target.format = chosen ? options.recipe.format : "hf_safetensors";
  require_writable(target);
  return target;
}

Report run_or_say_how_to_continue(const Options& options, const Target& target,
                                  const std::function<Report()>& conversion) {
  try {
    return conversion();
  } catch (const Error& error) {
    ErrorDetails details = error.details();
    fs::path partial = resolved(target.path);
    partial += ".partial";
    std::error_code unknown;
    if (!options.resume || !details.hint.empty() || !fs::exists(partial, unknown)) throw;
    details.hint = "the same command goes on with what is kept in " + partial.string();
    throw Error(std::move(details));
  }
}

std::vector<fs::path> files_of(const Checkpoint& input) {
  std::vector<fs::path> files = input.files();
  for (const Asset& asset : input.assets()) files.push_back(asset.path);
  return files;
}

}  // namespace mq::tool
