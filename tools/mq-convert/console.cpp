#include "tools/mq-convert/console.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>

#include "tools/mq-convert/args.hpp"

namespace mq::tool {
namespace {

constexpr int kSchemaVersion = 1;  // of the JSON output

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(descriptor, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      throw Error({.code = ErrorCode::Io,
                   .message = std::string("cannot write: ") + std::strerror(errno),
                   .file = "standard output"});
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void complain(const Error& error) noexcept {
  try {
    write_all(STDERR_FILENO, std::string("mq-convert: ") + error.what() + '\n');
  } catch (const std::exception&) {
    // Nobody is left to tell.
  }
}

json::Value text_or_null(const std::string& text) {
  return text.empty() ? json::Value() : json::Value(text);
}

}  // namespace

json::Value Console::error_object(const Error& error) {
  const ErrorDetails& details = error.details();
  json::Value value;
  value.set("code", to_string(details.code));
  value.set("file", text_or_null(details.file));
  value.set("tensor", text_or_null(details.tensor));
  value.set("offset", details.offset ? json::Value(*details.offset) : json::Value());
  value.set("expected", text_or_null(details.expected));
  value.set("found", text_or_null(details.found));
  value.set("hint", text_or_null(details.hint));
  value.set("message", details.message);
  return value;
}

void Console::tell(const Error& error) noexcept {
  if (!log_.enabled()) {
    if (!json_) complain(error);
    return;
  }
  try {
    json::Value fields = error_object(error);
    fields.set("exit_code", exit_code(error.code()));
    log_.emit("error", fields);
  } catch (const std::exception&) {
    complain(error);
  }
}

void Console::print(std::string_view text) {
  write_all(STDOUT_FILENO, text);
}

void Console::print_object(bool ok, json::Value verb, std::span<const Error> errors) {
  json::Value whole;
  whole.set("schema_version", kSchemaVersion);
  whole.set("ok", ok);
  if (!verb.is_null()) whole.set("command", std::move(verb));
  if (!errors.empty()) whole.set("error", error_object(errors.front()));
  if (errors.size() > 1) {
    json::Array all;
    for (const Error& error : errors) all.push_back(error_object(error));
    whole.set("errors", std::move(all));
  }
  for (auto& [key, value] : *object_.as_object()) whole.set(key, std::move(value));
  print(json::dump(whole) + '\n');
}

int Console::finish(Verb verb) {
  if (json_) print_object(true, to_string(verb), {});
  return 0;
}

int Console::finish_failed(Verb verb, std::span<const Error> errors) {
  if (json_) {
    print_object(false, to_string(verb), errors);
  }
  for (const Error& error : errors) tell(error);
  return exit_code(errors.front().code());
}

int Console::fail(const Error& error) noexcept {
  tell(error);
  if (!json_) return exit_code(error.code());
  try {
    object_ = json::Object{};
    print_object(false, {}, {&error, 1});
  } catch (const Error& unwritable) {
    complain(unwritable);
  } catch (const std::exception&) {
    complain(error);
  }
  return exit_code(error.code());
}

void reserve_standard_streams() noexcept {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // The wrong way round: using such a stream stays the error that it was. The lowest free number is this one.
    const int opened = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened < 0) return;
  }
}

}  // namespace mq::tool
