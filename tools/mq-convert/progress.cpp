#include "tools/mq-convert/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "mq/error.hpp"
#include "tools/mq-convert/text.hpp"

namespace mq::tool {
namespace {

constexpr std::chrono::milliseconds kInterval(100);

std::size_t terminal_width() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

bool is_terminal() {
  const char* const term = std::getenv("TERM");
  // Programs that build software may give their jobs a terminal, of which they keep every byte.
  const char* const ci = std::getenv("CI");
  if (ci != nullptr && *ci != '\0') return false;
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

std::string progress_text(const Progress& progress, double seconds, std::size_t width) {
  const double done = static_cast<double>(progress.bytes_done);
  const double total = static_cast<double>(std::max<std::int64_t>(progress.bytes_total, 1));
  std::string text = fixed(std::min(100.0, 100 * done / total), 0);
  text = std::string(3 - std::min<std::size_t>(3, text.size()), ' ') + text + " %   " +
         human_bytes(progress.bytes_done) + " of " + human_bytes(progress.bytes_total);
  if (seconds > 0.5 && done > 0) {
    text += "   " + human_bytes(static_cast<std::int64_t>(done / seconds)) + "/s   " +
            clock_text((total - done) * seconds / done) + " left";
  }
  // The name comes last, so that cutting the line costs the least; it is cut by bytes only if it is plain ASCII.
  const std::string name = printable(progress.tensor);
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (text.size() + 3 + name.size() <= width) {
    text += "   " + name;
  } else if (ascii && text.size() + 12 <= width) {
    text += "   " + name.substr(0, width - text.size() - 6) + "...";
  }
  return text.substr(0, width);
}

ProgressLine::ProgressLine(bool wanted) : enabled_(wanted && is_terminal()) {}

void ProgressLine::show(const Progress& progress) {
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  if (now - last_ < kInterval) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  // The last column stays free: some terminals break the line there.
  std::fprintf(stderr, "\r\x1b[K%s", progress_text(progress, seconds, terminal_width() - 1).c_str());
  std::fflush(stderr);
  visible_ = true;
}

void ProgressLine::clear() {
  if (!visible_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  visible_ = false;
}

}  // namespace mq::tool
