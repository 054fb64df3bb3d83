// The text of an encoding as far as a file tells it.
#pragma once

#include <string>

#include "mq/quant_spec.hpp"

namespace mq {

// to_string(spec) without the kind of range: how a symmetric scale was chosen is not stored, and readers take the
// widest, whatever the writer did.
inline std::string stored_spec_text(const QuantSpec& spec) {
  std::string text = to_string(spec);
  for (const char* kind : {":narrow", ":full", ":signed"}) {
    if (const std::size_t at = text.find(kind); at != std::string::npos)
      return text.erase(at, std::string(kind).size());
  }
  return text;
}

}  // namespace mq
