#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/journal.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using namespace mq::test;

namespace {

json::Value identity(const char* version) {
  json::Value value;
  value.set("tool version", version);
  value.set("option scheme", "int8");
  return value;
}

JournalEntry entry(std::size_t step) {
  return {.step = step,
          .report = {.id = "tensor \"" + std::to_string(step) + "\"\n",
                     .error = {.error_sq = 0.1 * static_cast<double>(step),
                               .x_sq = std::numeric_limits<double>::denorm_min(),
                               .y_sq = std::numeric_limits<double>::infinity(),
                               .max_error = -0.0,
                               .numel = std::numeric_limits<std::int64_t>::max()},
                     .digest = "xxh3-128:00"},
          .outputs = {"xxh3-128:01", "xxh3-128:02"}};
}

}  // namespace

TEST_CASE("journal: entries are read back with every bit, and the last one of a step counts") {
  const TempDir dir;
  {
    Journal journal(dir.path(), identity("1"));
    CHECK(journal.entries().empty());
    const JournalEntry entries[] = {entry(3), entry(1)};
    journal.append(entries);
    JournalEntry again = entry(3);
    again.outputs = {"other"};
    journal.append({&again, 1});
  }
  const Journal journal(dir.path(), identity("1"));
  REQUIRE(journal.entries().size() == 2);
  CHECK(journal.entries().at(1) == entry(1));
  CHECK(std::signbit(journal.entries().at(1).report.error.max_error));
  CHECK(journal.entries().at(3).outputs == std::vector<std::string>{"other"});
}

TEST_CASE("journal: of one that was cut anywhere the whole lines count, and it can be gone on with") {
  const TempDir dir;
  {
    Journal journal(dir.path(), identity("1"));
    for (std::size_t step = 0; step < 3; ++step) journal.append(std::vector{entry(step)});
  }
  const std::string whole = read_file(dir / "journal");
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    write_file(dir / "journal", whole.substr(0, size));
    const std::string kept = whole.substr(0, size);
    const auto lines = static_cast<std::size_t>(std::count(kept.begin(), kept.end(), '\n'));
    Journal journal(dir.path(), identity("1"));
    CHECK(journal.entries().size() == (lines == 0 ? 0 : lines - 1));
    journal.append(std::vector{entry(7)});
    CHECK(Journal(dir.path(), identity("1")).entries().size() == journal.entries().size() + 1);
  }
}

TEST_CASE("journal: a new one empties its folder, one of another run is refused with what differs") {
  const TempDir dir;
  write_file(dir / "output", "of nobody knows what");
  { const Journal journal(dir.path(), identity("1")); }
  CHECK(names_in(dir.path()) == std::vector<std::string>{"journal"});
  const std::string before = read_file(dir / "journal");
  const auto error = error_of([&] { Journal(dir.path(), identity("2")); });
  REQUIRE(error);
  CHECK(error->code() == ErrorCode::Usage);
  CHECK(std::string(error->what()).find("belongs to a run with another tool version: expected \"2\", found \"1\"") !=
        std::string::npos);
  CHECK(read_file(dir / "journal") == before);
}
