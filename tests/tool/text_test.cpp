#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tools/mq-convert/progress.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"

using namespace mq;
using namespace mq::tool;

TEST_CASE("sizes are shown with one digit after the point, and never as 1000.0") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(999) == "999 B");
  CHECK(human_bytes(1000) == "1.0 kB");
  CHECK(human_bytes(999'949) == "999.9 kB");
  CHECK(human_bytes(999'950) == "1.0 MB");
  CHECK(human_bytes(1'900'000'000) == "1.9 GB");
  CHECK(human_bytes(std::numeric_limits<std::int64_t>::max()) == "9.2 EB");
}

TEST_CASE("counts are grouped by thousands") {
  CHECK(human_count(0) == "0");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1000) == "1,000");
  CHECK(human_count(-20978176) == "-20,978,176");
  CHECK(plural(1, "tensor") == "1 tensor");
  CHECK(plural(1500, "tensor") == "1,500 tensors");
  CHECK(duration_text(0.00035) == "0.3 ms");
  CHECK(duration_text(0.354) == "354 ms");
  CHECK(duration_text(1.354) == "1.35 s");
  CHECK(duration_text(65.4) == "1:05");
  CHECK(clock_text(3723) == "1:02:03");
}

TEST_CASE("no error is exact, and what is not a number says so") {
  CHECK(decibels(42.24) == "42.2 dB");
  CHECK(decibels(INFINITY) == "exact");
  CHECK(decibels(-INFINITY) == "-inf dB");
  CHECK(decibels(NAN) == "nan");
  CHECK(percent(1, 3) == "33.3 %");
  CHECK(percent(0, 0) == "0 %");
}

TEST_CASE("columns line up by characters, not by bytes") {
  Table table({{"name"}, {"n", true}});
  CHECK(table.text().empty());
  table.add({"größe", "1"});
  table.add({"x", "100"});
  CHECK(table.text() == "name     n\ngröße    1\nx      100\n");

  Table sparse({{"a"}, {"nothing"}, {"b"}});
  sparse.add({"1", "", ""});
  sparse.add({"2", "", "x"});
  CHECK(sparse.text() == "a  b\n1\n2  x\n");
}

TEST_CASE("the progress line says share, bytes, speed, time left and tensor, and never exceeds the terminal") {
  const Progress progress{.bytes_done = 1'200'000'000, .bytes_total = 2'600'000'000, .tensor = "model.layers.3.weight"};
  CHECK(progress_text(progress, 3, 200) == " 46 %   1.2 GB of 2.6 GB   400.0 MB/s   0:04 left   model.layers.3.weight");
  // No guess from too little.
  CHECK(progress_text(progress, 0.1, 200) == " 46 %   1.2 GB of 2.6 GB   model.layers.3.weight");
  for (std::size_t width = 1; width < 100; ++width) CHECK(progress_text(progress, 3, width).size() <= width);
  CHECK(progress_text({.bytes_done = 0, .bytes_total = 0, .tensor = "a"}, 3, 80) == "  0 %   0 B of 0 B   a");
}
