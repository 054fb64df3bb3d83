#include "src/pattern.hpp"

#include "src/kinds.hpp"
#include "src/text_match.hpp"

namespace mq {

Pattern::Pattern(std::string_view text) : text_(text) {
  if (text.empty()) throw Error(ErrorCode::Usage, "a pattern is empty");
  if (text.starts_with("re:")) {
    regex_ = compile_regex(text.substr(3));
  } else if (text.starts_with("kind:")) {
    kind_ = parse_kind(text.substr(5));
  }
}

bool Pattern::matches(std::string_view name, TensorKind kind) const {
  if (kind_) return kind == *kind_;
  if (regex_) return std::regex_search(name.begin(), name.end(), *regex_);
  return glob_match(text_, name);
}

}  // namespace mq
