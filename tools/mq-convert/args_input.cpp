// How checkpoints are read: the options of every command that opens one.
#include <string>

#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {
namespace {

void add_rename(Options& options, const std::string& text) {
  const std::size_t sign = text.find('=');
  if (sign == std::string::npos || sign == 0) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "--rename",
                 .expected = "OLD=NEW",
                 .found = text.empty() ? "nothing" : printable(text)});
  }
  options.open.renames.emplace_back(text.substr(0, sign), text.substr(sign + 1));
}

void add_limits(CLI::App& app, Options& options) {
  for (const LimitInfo& limit : all_limits()) {
    const std::string option = "--max-" + std::string(limit.name);
    const std::string help(limit.help);
    add_value(app, kLimits, option.c_str(), "N", help.c_str(), [&options, &limit, option](const std::string& text) {
      const auto most = static_cast<std::int64_t>(limit.most);
      options.open.limits.*limit.value = static_cast<std::uint64_t>(parse_integer(option, text, 1, most));
      options.recipe.limits = options.open.limits;
    });
  }
}

}  // namespace

void add_input_options(CLI::App& app, Options& options) {
  add_limits(app, options);
  if (options.verb == Verb::Audit) return;  // it looks at everything, under the names it has
  const std::string of = options.verb == Verb::Compare ? " of ORIGINAL" : "";
  add_value(app, kInput, "--root", "KEYS",
            ("where the tensors" + of + " are in a file that holds more than one state dict, keys joined with dots; " +
             "a single dot: everything (default: found by itself)")
                .c_str(),
            [&](const std::string& text) { options.open.root = text; });
  add_list(app, kInput, "--strip-prefix", "PREFIX",
           ("remove this from the beginning of names" + of + ", as in module.; may be given several times").c_str(),
           [&](const std::string& text) {
             if (text.empty()) throw Error(ErrorCode::Usage, "--strip-prefix: the prefix is empty");
             options.open.strip_prefixes.push_back(text);
           });
  add_list(app, kInput, "--rename", "OLD=NEW",
           ("then give the tensor OLD" + of + " the name NEW; if OLD ends with a dot, all names that begin so begin " +
            "with NEW instead. config.json is not changed. May be given several times")
               .c_str(),
           [&](const std::string& text) { add_rename(options, text); });
  if (options.verb != Verb::Validate) add_fold_options(app, options);
  app.add_flag_callback(
         "--no-verify-crc", [&] { options.open.verify_checksums = false; },
         "do not compare tensor data with the checksums that .pt and .npz files keep of it: a little faster")
      ->group(kInput);
  add_flag(app, kInput, "--strict", "refuse pickles that hold objects of foreign classes, which are data otherwise",
           options.open.strict);
}

}  // namespace mq::tool
