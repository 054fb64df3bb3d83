// Reads a member of PyTorch's tar archives: pickles of literals and numbers, one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/io/file.hpp"
#include "formats/pickle.hpp"
#include "mq/error.hpp"
#include "mq/tensor.hpp"

namespace mq::formats {

class MemberReader {
 public:
  // limits are borrowed.
  MemberReader(io::File file, const Limits& limits) : file_(std::move(file)), limits_(limits) {}

  const io::File& file() const { return file_; }
  std::uint64_t position() const { return position_; }

  // The next pickle, without calls: literals and classes. It borrows bytes.
  pickle::Pickle literal(std::string& bytes);
  // A pickled number of `what`.
  std::int64_t count(const char* what);
  Shape integers(std::uint64_t count);
  // Passes over bytes and returns where they begin.
  std::uint64_t skip(std::uint64_t size_bytes);

  // Throws an error at the position.
  [[noreturn]] void fail(ErrorCode code, std::string message, std::string expected = {}, std::string found = {}) const;

 private:
  io::File file_;
  const Limits& limits_;
  std::uint64_t position_ = 0;
};

}  // namespace mq::formats
