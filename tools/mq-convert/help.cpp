#include "tools/mq-convert/help.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kNameColumn = 28;
constexpr std::size_t kWidth = 110;

// Words of text broken into lines that begin in the help column; a newline in text is kept.
std::string wrapped(std::string_view text) {
  std::string out;
  std::size_t column = kNameColumn;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    if (column > kNameColumn && column + 1 + word.size() > kWidth) {
      out += '\n' + std::string(kNameColumn, ' ');
      column = kNameColumn;
    }
    if (column > kNameColumn) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    if (end < text.size() && text[end] == '\n') {
      out += '\n' + std::string(kNameColumn, ' ');
      column = kNameColumn;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string entry(std::string name, std::string_view help) {
  name = "  " + name;
  if (name.size() + 2 > kNameColumn) {
    name += '\n' + std::string(kNameColumn, ' ');
  } else {
    name.resize(kNameColumn, ' ');
  }
  return name + wrapped(help) + '\n';
}

std::string names_of(const CLI::Option& option) {
  std::string names = option.get_positional() ? option.get_name(true) : option.get_name(false, true);
  if (const std::size_t comma = names.find(','); comma != std::string::npos) names.insert(comma + 1, " ");
  return option.get_positional() || option.get_option_text().empty() ? names : names + ' ' + option.get_option_text();
}

std::string usage(const CLI::App& app, const std::string& name) {
  std::string line = "usage: " + name;
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) return line + " COMMAND ...\n";
  for (const CLI::Option* option : app.get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    line += ' ' + option->get_name(true);
  }
  return line + " [options]\n";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode) const {
  std::string out = app->get_description() + "\n\n" + usage(*app, name);
  const auto commands = app->get_subcommands([](const CLI::App*) { return true; });
  if (!commands.empty()) out += "\nCommands:\n";
  for (const CLI::App* command : commands) out += entry(command->get_name(), command->get_description());
  std::string positionals;
  for (const CLI::Option* option : app->get_options([](const CLI::Option* o) { return o->get_positional(); })) {
    positionals += entry(names_of(*option), option->get_description());
  }
  if (!positionals.empty()) out += '\n' + positionals;
  std::vector<std::string> groups = app->get_groups();
  // Options of every command come after those of this one.
  std::stable_partition(groups.begin(), groups.end(), [](const std::string& group) { return group != kGeneral; });
  for (const std::string& group : groups) {
    const auto options =
        app->get_options([&](const CLI::Option* o) { return o->get_group() == group && !o->get_positional(); });
    if (group.empty() || options.empty()) continue;
    out += '\n' + group + ":\n";
    if (group == kLimits) {
      out += entry("--max-NAME N", "how much the input may ask for; `mq-convert --limits` prints every NAME");
      continue;
    }
    for (const CLI::Option* option : options) out += entry(names_of(*option), option->get_description());
  }
  if (!app->get_footer().empty()) out += '\n' + app->get_footer() + '\n';
  return out;
}

}  // namespace mq::tool
