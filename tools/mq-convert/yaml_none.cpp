// For builds without yaml-cpp.
#include "mq/error.hpp"
#include "tools/mq-convert/yaml.hpp"

namespace mq::tool {

std::string json_of_yaml(std::string_view, std::string_view source) {
  throw Error({.code = ErrorCode::Unsupported,
               .message = "this build reads no YAML",
               .file = std::string(source),
               .expected = "JSON"});
}

}  // namespace mq::tool
