// What an expression throws, for checks of codes and messages.
#pragma once

#include <optional>
#include <string>

#include "mq/error.hpp"

namespace mq::test {

// The mq::Error that body throws; nothing if it returns. Other exceptions pass.
template <class Body>
std::optional<Error> error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// Its text; "no error" if body returns.
template <class Body>
std::string message_of(Body&& body) {
  const std::optional<Error> error = error_of(body);
  return error ? error->what() : "no error";
}

// Its code; nothing if body returns.
template <class Body>
std::optional<ErrorCode> code_of(Body&& body) {
  const std::optional<Error> error = error_of(body);
  if (!error) return std::nullopt;
  return error->code();
}

}  // namespace mq::test
