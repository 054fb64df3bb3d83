// Pickles that follow each other in a range of a file.
#include "formats/audit_search.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "formats/audit_calls.hpp"
#include "formats/limits.hpp"

namespace mq::formats::audit {
namespace {

using pickle::Kind;

constexpr std::uint64_t kFirstBytes = 64 * 1024;
constexpr std::uint64_t kGrowth = 4;
constexpr std::size_t kMaxSilent = 1000;  // pickles of one stream that are listed although they name nothing

// The magic number that torch.save wrote before 1.6, and the pickles of which the storages follow.
constexpr std::string_view kMagic{"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13};
constexpr std::array<std::string_view, 5> kStreamParts{"magic number", "protocol version", "system", "object",
                                                       "storage keys"};

// Whether bytes that do not come to the end of a pickle are one nonetheless: what they did until then says so.
bool acts(const AuditedPickle& judged, std::string_view bytes) {
  const auto is_dangerous = [](const AuditedGlobal& global) { return global.verdict == Verdict::Dangerous; };
  // Any line that begins with a P looks like a persistent id.
  const auto is_call = [](const AuditedCall& call) { return call.kind != CallKind::PersistentId; };
  return std::ranges::any_of(judged.calls, is_call) || std::ranges::any_of(judged.globals, is_dangerous) ||
         (bytes.starts_with('\x80') && !judged.globals.empty());
}

bool is_magic(std::string_view pickle) {
  return pickle.size() == kMagic.size() + 2 && pickle.starts_with('\x80') && pickle.ends_with(kMagic);
}

}  // namespace

// The part of a range that is in memory.
class Search::Window {
 public:
  Window(const io::File& file, const Part& part) : file_(&file), part_(part) {}
  explicit Window(std::string_view bytes) : part_{0, bytes.size(), {}, 0}, given_(bytes) {}

  std::uint64_t size() const { return part_.size_bytes; }
  // What is there from position on.
  std::string_view at(std::uint64_t position) const {
    if (file_ == nullptr) return given_.substr(static_cast<std::size_t>(position));
    if (position < first_ || position - first_ >= bytes_.size()) return {};
    return std::string_view(bytes_).substr(static_cast<std::size_t>(position - first_));
  }
  // Whether that is all of the range.
  bool complete(std::uint64_t position) const {
    return file_ == nullptr || (position >= first_ && first_ + bytes_.size() == part_.size_bytes);
  }
  void fill(std::uint64_t position, std::uint64_t size_bytes) {
    first_ = position;
    bytes_.resize(static_cast<std::size_t>(std::min(size_bytes, part_.size_bytes - position)));
    file_->read(part_.offset + position, std::as_writable_bytes(std::span(bytes_)));
  }

 private:
  const io::File* file_ = nullptr;
  Part part_;
  std::string_view given_;
  std::uint64_t first_ = 0;
  std::string bytes_;
};

void Search::add(Verdict verdict, const std::string& where, std::optional<std::uint64_t> offset, std::string message) {
  report_.findings.push_back({verdict, name_in(file_name_, where), offset, std::move(message)});
}

void Search::add(const std::string& where, const Error& error) {
  const ErrorDetails& details = error.details();
  if (details.code == ErrorCode::Io || details.code == ErrorCode::Internal) throw error;
  std::string message = details.message;
  if (!details.expected.empty()) message += ": expected " + details.expected;
  if (!details.found.empty()) message += (details.expected.empty() ? ": found " : ", found ") + details.found;
  if (details.code == ErrorCode::Limit && !details.hint.empty()) message += " (" + details.hint + ")";
  add(Verdict::Corrupt, where, details.offset, std::move(message));
}

std::string Search::name_in(const std::string& where, std::string_view name) const {
  if (where.empty() || name.empty()) return where + std::string(name);
  return where + ": " + std::string(name);
}

// Bytes are looked at, or followed, at most as often as tensors may overlap: only a hostile directory asks for more.
bool Search::spend(std::uint64_t bytes, const std::string& where) {
  const std::uint64_t factor = std::max<std::uint64_t>(limits_.expansion, 1);
  if (spent_ / factor > file_.size() + kFirstBytes) return false;
  spent_ += bytes;
  if (spent_ / factor <= file_.size() + kFirstBytes) return true;
  add(Verdict::Corrupt, where, std::nullopt,
      "the same bytes are listed too often: the rest of the file is not looked at (--max-expansion)");
  return false;
}

// Reads more of a pickle until it ends, fails, or is too long.
std::optional<pickle::Listing> Search::next(Window& window, std::uint64_t position, const std::string& where) {
  const std::uint64_t left = window.size() - position;
  for (;;) {
    const std::string_view bytes = window.at(position);
    if (!bytes.empty()) {
      pickle::Listing listing =
          pickle::list(std::as_bytes(std::span(bytes.substr(0, limits_.header_bytes))), where, limits_);
      // A line or a text without an end was looked for up to the end.
      if (!spend(listing.ran_out ? bytes.size() : listing.pickle.size_bytes, where)) return std::nullopt;
      if (!listing.ran_out || window.complete(position)) return listing;
      if (bytes.size() >= limits_.header_bytes) {
        add(Verdict::Corrupt, where, position,
            "a pickle of more than " + std::to_string(limits_.header_bytes) +
                " bytes: the rest is not looked at (--max-header-bytes raises this limit)");
        return listing;
      }
    }
    window.fill(position, std::min({left, limits_.header_bytes, std::max(kFirstBytes, kGrowth * bytes.size())}));
  }
}

void Search::keep(const pickle::Listing& listing, AuditedPickle judged, const std::string& where,
                  std::optional<std::uint64_t> offset) {
  judged.where = name_in(file_name_, where);
  judged.offset = offset;
  report_.pickles.push_back(std::move(judged));
  if (listing.stopped) add(where, *listing.stopped);
}

// What stands after the first pickle: another one, or bytes that no reader expects. False for the latter.
bool Search::goes_on(const Part& part, std::uint64_t position, bool is_pickle, bool is_second) {
  if (!is_pickle) {
    add(Verdict::Corrupt, part.where, position,
        std::to_string(part.size_bytes - position) + " bytes after STOP, which are no pickle");
  } else if (is_second) {
    add(Verdict::Known, part.where, position, "more pickles after STOP: only programs that go on reading load them");
  }
  return is_pickle;
}

bool Search::stream(const Part& part, Expect expect) {
  Window window(file_, part);
  std::uint64_t position = 0;
  bool old = false;
  std::size_t silent = 0;
  for (std::size_t count = 0; position < part.size_bytes; ++count) {
    if (old && count == kStreamParts.size()) return true;  // the storages
    const std::optional<pickle::Listing> listing = next(window, position, part.where);
    if (!listing) return true;
    const std::string_view bytes = window.at(position);
    AuditedPickle judged = judge(*listing, std::as_bytes(std::span(bytes)));
    const bool is_pickle = !listing->stopped || acts(judged, bytes);
    if (count == 0) {
      if (expect == Expect::Anything && !is_pickle) return false;
      old = !listing->stopped && is_magic(bytes.substr(0, static_cast<std::size_t>(judged.size_bytes)));
    } else if (!old && !goes_on(part, position, is_pickle, count == 1)) {
      return true;
    }
    const std::uint64_t begin = std::exchange(position, position + judged.size_bytes);
    if (judged.globals.empty() && !listing->stopped && ++silent > kMaxSilent) continue;
    const std::string name = old          ? std::string(kStreamParts[count])
                             : count == 0 ? std::string()
                                          : "pickle " + std::to_string(count + 1);
    keep(*listing, std::move(judged), name_in(part.where, name), part.offset + begin);
    if (listing->stopped) return true;
  }
  return part.size_bytes > 0;
}

std::optional<Search::Literal> Search::literal(const Part& part) {
  Window window(file_, part);
  if (part.size_bytes == 0) return std::nullopt;
  const std::optional<pickle::Listing> listing = next(window, 0, part.where);
  if (!listing) return std::nullopt;
  AuditedPickle judged = judge(*listing, std::as_bytes(std::span(window.at(0))));
  if (!judged.globals.empty() || listing->stopped) keep(*listing, std::move(judged), part.where, part.offset);
  if (listing->stopped) return std::nullopt;
  Literal out{.size_bytes = listing->pickle.size_bytes};
  const pickle::Graph& graph = listing->pickle.graph;
  const pickle::NodeId root = listing->pickle.root;
  if (graph.kind(root) == Kind::Int) out.number = graph.integer(root);
  if (graph.kind(root) == Kind::Tuple && !graph.items(root).empty()) {
    const pickle::NodeId last = graph.items(root).back();
    if (graph.kind(last) == Kind::Global) out.class_name = std::string(graph.global(last).name);
  }
  return out;
}

void Search::text(const std::string& where, std::string_view bytes) {
  if (bytes.empty()) return;
  Window window(bytes);
  const std::optional<pickle::Listing> listing = next(window, 0, where);
  if (!listing) return;
  keep(*listing, judge(*listing, std::as_bytes(std::span(bytes))), where, std::nullopt);
  if (!listing->stopped && listing->pickle.size_bytes < bytes.size()) {
    add(Verdict::Corrupt, where, listing->pickle.size_bytes, "bytes after the pickle");
  }
}

}  // namespace mq::formats::audit
