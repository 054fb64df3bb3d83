// The one exception type of the library. Immutable once thrown; safe to copy between threads.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace mq {

enum class ErrorCode {
  Internal,     // a bug of this library
  Usage,        // a wrong option, rule or combination
  Numeric,      // the data cannot be quantized as asked (NaN, overflow of the target type)
  Mismatch,     // a comparison, gate or validation failed
  Dangerous,    // an audited file contains something that would run code elsewhere
  Io,           // this machine: reading, writing, space, permissions; a retry may help
  Corrupt,      // the input contradicts itself or its format
  Unsupported,  // the input is well-formed, but of a kind that is not read
  Limit,        // the input asks for more than the limits allow
  Cancelled,    // the caller asked to stop
};

// The exit code that mq-convert gives for an error: Internal 1, Usage 2, Numeric 3, Mismatch and Dangerous 4, Io 5,
// Corrupt, Unsupported and Limit 6, Cancelled 130.
int exit_code(ErrorCode code) noexcept;

// The lower-case name of a code, as it stands in JSON output ("usage", "corrupt", ...).
const char* to_string(ErrorCode code) noexcept;

// What went wrong, where, what was expected and what was found. Every field but code and message may be empty.
struct ErrorDetails {
  ErrorCode code = ErrorCode::Internal;
  std::string message = {};  // the problem in a few words; the fields below are appended to it in what()
  std::string file = {};     // path as the caller gave it, with the record inside it if there is one
  std::string tensor = {};   // name of the tensor
  std::optional<std::uint64_t> offset = {};  // byte offset in file (or in the record that file names)
  std::string expected = {};
  std::string found = {};
  std::string hint = {};  // what to do about it
};

class Error : public std::runtime_error {
 public:
  explicit Error(ErrorDetails details);
  Error(ErrorCode code, std::string message) : Error(ErrorDetails{.code = code, .message = std::move(message)}) {}

  ErrorCode code() const noexcept { return details_.code; }
  const ErrorDetails& details() const noexcept { return details_; }

 private:
  ErrorDetails details_;
};

// The text with control characters, invalid UTF-8 and overlong names made harmless for a terminal or a log:
// such bytes become \xNN, and what exceeds max_bytes is replaced by "...".
std::string printable(std::string_view text, std::size_t max_bytes = 200);

}  // namespace mq
