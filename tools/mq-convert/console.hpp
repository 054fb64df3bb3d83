// Where results go: text on stdout, or one JSON object on stdout; errors on stderr, as text or as events.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "mq/error.hpp"
#include "src/json.hpp"
#include "tools/mq-convert/events.hpp"
#include "tools/mq-convert/options.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

class Console {
 public:
  Console(bool json, bool log_json) : json_(json), log_(log_json) {}

  void set_verbose(bool verbose) noexcept { style_.verbose = verbose; }
  bool json() const noexcept { return json_; }
  EventLog& log() noexcept { return log_; }

  // Prints a value as text at once, or makes it the member `key` of the JSON object.
  // Throws: Io if stdout cannot be written.
  template <class T>
  void show(std::string_view key, const T& value) {
    if (json_) {
      object_.set(key, to_json(value));
    } else {
      print(to_text(value, style_));
    }
  }

  // Throws: Io if stdout cannot be written.
  void print(std::string_view text);

  // Ends the run: prints the JSON object. Returns the exit code.
  // Throws: Io if stdout cannot be written.
  int finish(Verb verb);
  // The same for checks that did not pass: what was shown stays, and the errors (at least one) are added.
  int finish_failed(Verb verb, std::span<const Error> errors);

  // The parts of an error as they stand in JSON.
  static json::Value error_object(const Error& error);

  // Ends the run with nothing but an error. Never throws.
  int fail(const Error& error) noexcept;

 private:
  void print_object(bool ok, json::Value verb, std::span<const Error> errors);

  // The error on stderr: a line of text, or an event.
  void tell(const Error& error) noexcept;

  bool json_ = false;
  EventLog log_;
  Style style_;
  json::Value object_{json::Object{}};
};

// Gives descriptors 0 to 2 that were closed a place to point to, so that no file opened later takes their numbers and
// receives what is meant for the terminal.
void reserve_standard_streams() noexcept;

}  // namespace mq::tool
