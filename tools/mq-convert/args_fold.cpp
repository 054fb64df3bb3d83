// --fold-bn: which batch normalizations become part of which layers.
#include <charconv>
#include <cmath>
#include <string>

#include "formats/io/file.hpp"
#include "src/json.hpp"
#include "tools/mq-convert/args_common.hpp"

namespace mq::tool {
namespace {

constexpr std::uint64_t kMaxMapBytes = 16 << 20;

[[noreturn]] void refuse(std::string expected, std::string found) {
  throw Error(
      {.code = ErrorCode::Usage, .message = "--fold-bn", .expected = std::move(expected), .found = std::move(found)});
}

double parse_eps(const std::string& option, const std::string& text) {
  double eps = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, eps);
  if (problem == std::errc() && stop == end && eps > 0 && std::isfinite(eps)) return eps;
  throw Error({.code = ErrorCode::Usage, .message = option, .expected = "a number above 0", .found = printable(text)});
}

// {"conv1": "bn1", "conv2": {"norm": "bn2", "eps": 0.001}}
void read_map(const std::string& path, std::vector<BatchNormFold>& folds) {
  const json::Value map = json::parse(io::read_text(path, kMaxMapBytes), path);
  const json::Object* const members = map.as_object();
  if (members == nullptr) refuse(R"(an object {"LAYER": "NORM", ...} in )" + path, "another value");
  for (const auto& [layer, value] : *members) {
    BatchNormFold fold{.layer = layer};
    const json::Value* const norm = value.as_string() != nullptr ? &value : value.find("norm");
    if (norm == nullptr || norm->as_string() == nullptr)
      refuse("the name of a normalization", "none for " + printable(layer));
    fold.norm = *norm->as_string();
    if (const json::Value* const eps = value.find("eps")) fold.eps = parse_eps("eps of " + layer, json::dump(*eps, -1));
    folds.push_back(std::move(fold));
  }
}

void add_folds(Options& options, const std::string& text) {
  const std::size_t sign = text.find('=');
  if (text == "auto") {
    options.find_folds = true;
  } else if (sign == std::string::npos) {
    read_map(text, options.folds);
  } else if (sign == 0 || sign + 1 == text.size()) {
    refuse("LAYER=NORM, auto, or a file of names", printable(text));
  } else {
    options.folds.push_back({.layer = text.substr(0, sign), .norm = text.substr(sign + 1)});
  }
}

}  // namespace

void add_fold_options(CLI::App& app, Options& options) {
  add_list(
      app, kInput, "--fold-bn", "LAYER=NORM|auto|FILE",
      "make the batch normalization NORM part of LAYER (conv1=bn1); auto: by names, where these leave no doubt; "
      "FILE: JSON, {\"conv1\": \"bn1\", \"conv2\": {\"norm\": \"bn2\", \"eps\": 0.001}}. May be given several times",
      [&](const std::string& text) { add_folds(options, text); });
  add_value(app, kInput, "--bn-eps", "EPS",
            "the eps of normalizations to fold, which no checkpoint holds (PyTorch: 1e-5)",
            [&](const std::string& text) { options.bn_eps = parse_eps("--bn-eps", text); });
}

}  // namespace mq::tool
