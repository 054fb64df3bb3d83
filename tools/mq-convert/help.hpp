// The layout of --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace mq::tool {

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

}  // namespace mq::tool
