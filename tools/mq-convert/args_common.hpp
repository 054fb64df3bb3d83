// Building blocks of the command line, shared by its verbs.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/mq-convert/options.hpp"

namespace mq::tool {

inline constexpr const char* kInput = "Input";
inline constexpr const char* kLimits = "Limits";  // shown in one line, see help.cpp
inline constexpr const char* kSelection = "Which tensors";
inline constexpr const char* kEncoding = "How they are stored";
inline constexpr const char* kOutput = "Output";
inline constexpr const char* kGeneral = "General";

inline constexpr std::int64_t kMaxThreads = 1024;

// An argument that is a path, or an option that is one.
void add_path(CLI::App& app, const char* name, const char* help, std::filesystem::path& target);
// An option with one value. take runs after the whole line is parsed and may throw an Error.
CLI::Option* add_value(CLI::App& app, const char* group, const char* name, const char* value, const char* help,
                       std::function<void(const std::string&)> take);
// An option that may be given several times, one value each.
CLI::Option* add_list(CLI::App& app, const char* group, const char* name, const char* value, const char* help,
                      std::function<void(const std::string&)> take);
CLI::Option* add_flag(CLI::App& app, const char* group, const char* name, const char* help, bool& target);

// Throws: Usage naming the option and what it takes.
[[noreturn]] void refuse_value(std::string_view option, std::string expected, const std::string& found);
// Throws: Usage naming the option.
std::int64_t parse_integer(std::string_view option, const std::string& text, std::int64_t least, std::int64_t most);
// A number of bytes, at least 1: "300MB", "4.5GiB", "1000000".
std::int64_t parse_bytes(std::string_view option, const std::string& text);
double parse_decibels(std::string_view option, const std::string& text);
DType parse_type(std::string_view option, const std::string& text);
// A dialect that is written; and their names for help.
std::string parse_dialect(const std::string& text);
const char* dialect_names();
// One of the words; its index.
std::size_t parse_word(std::string_view option, const std::string& text, const std::vector<std::string_view>& words);
// One of the values by its name.
template <class Values>
auto parse_one_of(std::string_view option, const std::string& text, const Values& values) {
  std::vector<std::string_view> words;
  for (const auto value : values) words.push_back(to_string(value));
  return values[parse_word(option, text, words)];
}

// --recipe. Before all other options that say something about recipes: callbacks run in the order in which options were
// added, and theirs change what the file said.
void add_recipe_option(CLI::App& app, Options& options);
// After the line is parsed: how names are changed becomes part of the recipe, and what a recipe says about it is done.
void merge_input_names(Options& options);
void take_input_names(const InputNames& names, OpenOptions& open);

void add_input_options(CLI::App& app, Options& options);
void add_fold_options(CLI::App& app, Options& options);
void add_output_options(CLI::App& app, Options& options);
void add_sync_option(CLI::App& app, Options& options);
void add_log_option(CLI::App& app, Options& options);
// Options that say what a preset says too.
struct EncodingOptions {
  const CLI::Option* scheme = nullptr;
  const CLI::Option* bits = nullptr;
  const CLI::Option* dialect = nullptr;
  const CLI::Option* mix = nullptr;
};
// --for: a preset; it excludes options that say otherwise. After those, whose callbacks run first.
void add_destination(CLI::App& app, Options& options, const EncodingOptions& given);
// What recipes say about the files of an output.
void add_layout_options(CLI::App& app, Options& options);
void add_quantize_options(CLI::App& app, Options& options);
void add_batch(CLI::App& app, Options& options);
void add_recipe_printing(CLI::App& app, Options& options);

}  // namespace mq::tool
