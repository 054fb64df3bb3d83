// YAML as another way to write JSON, and no more of it than that.
#pragma once

#include <string>
#include <string_view>

namespace mq::tool {

// The JSON text of a YAML document; every value stands on the line that it has there, so that errors found later name
// the right one. Plain scalars have the types that JSON gives them: true, false, null and JSON's numbers; everything
// else (yes, 0x10, 1_000, 12:30) is a string. Of mappings that hold a key twice the JSON does too: its parser refuses
// it. Throws: Usage with source and line: broken YAML, more than one document, anchors, aliases, tags, keys that are no
// scalars; Limit for texts above a mebibyte; Unsupported in a build without yaml-cpp.
std::string json_of_yaml(std::string_view yaml, std::string_view source);

}  // namespace mq::tool
