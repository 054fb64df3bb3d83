// Two runs of mq-bench side by side.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace mq::bench {

struct RowChange {
  enum class Verdict { Same, Faster, Slower, OnlyOld, OnlyNew };

  std::string name;
  double old_seconds = 0, new_seconds = 0;  // medians of the repetitions
  double noise = 0;                         // what a ratio may differ from 1 by chance
  Verdict verdict = Verdict::Same;
};

// Rows of two files that --json wrote, in the order of the new one. A row is faster or slower if the ratio of the
// medians is beyond half the spread of the repetitions and beyond 3 %; of a row measured once or twice 10 % are noise.
// Throws: Corrupt for other files.
std::vector<RowChange> compare_runs(const std::string& old_json, const std::string& new_json);

// A line for each row. Returns whether one became slower.
bool print_changes(const std::vector<RowChange>& changes, std::ostream& out);

}  // namespace mq::bench
