// Where tests find their files.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace mq::test {

inline std::filesystem::path source_dir() { return MQ_SOURCE_DIR; }

// Small files that belong to the repository: always there.
inline std::filesystem::path data_dir() { return source_dir() / "tests" / "data"; }

// The folder of design pages and large fixtures: the environment variable MQ_SHARED_DIR, else `shared` beside the
// source tree. Empty on a machine that has only the repository.
inline std::optional<std::filesystem::path> shared_dir() {
  const char* named = std::getenv("MQ_SHARED_DIR");
  const std::filesystem::path dir =
      named != nullptr && *named != '\0' ? std::filesystem::path(named) : source_dir().parent_path() / "shared";
  std::error_code ignored;
  if (!std::filesystem::is_directory(dir / "fixtures", ignored)) return std::nullopt;
  return dir;
}

// A file or folder below shared_dir()/fixtures ("lm/model"). Where it is missing, one line says that the test case is
// skipped: `const auto model = fixture("lm/model"); if (!model) return;`
inline std::optional<std::filesystem::path> fixture(std::string_view name) {
  std::error_code ignored;
  if (const auto shared = shared_dir()) {
    const std::filesystem::path path = *shared / "fixtures" / name;
    if (std::filesystem::exists(path, ignored)) return path;
  }
  std::printf("skipped: fixture %s is not here (set MQ_SHARED_DIR)\n", std::string(name).c_str());
  return std::nullopt;
}

}  // namespace mq::test
