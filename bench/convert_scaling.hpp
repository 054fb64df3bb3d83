// How conversion grows: with the number of tensors, shards and threads, and with the size of the model.
#pragma once

#include <cstdint>
#include <filesystem>

namespace mq::bench {

// Each prints a table. Inputs are made in dir and removed.
void tensors_table(const std::filesystem::path& dir, std::int64_t most);
void shards_table(const std::filesystem::path& dir);
void memory_table(const std::filesystem::path& dir, int threads);
void threads_table(const std::filesystem::path& dir, std::int64_t mebibytes, int most);

}  // namespace mq::bench
