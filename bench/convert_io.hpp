// What ways of reading and writing cost, beside conversions in the same run.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mq::bench {

// Reads of a cold file of so many mebibytes, and writes of a quarter of them, in all the ways that were considered.
void io_table(const std::filesystem::path& dir, std::int64_t mebibytes, int rounds, int threads);

}  // namespace mq::bench
