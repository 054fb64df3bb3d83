// A writer for runs of which only the report is wanted.
#pragma once

#include "mq/checkpoint.hpp"

namespace mq {

class NullWriter final : public CheckpointWriter {
 public:
  void begin(const Layout&) override {}
  void write(std::size_t, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::span<const std::byte>) override {
  }
  void add_text(std::string_view, std::string) override {}
  void finish() override {}
  std::int64_t size_bytes() const noexcept override { return 0; }
};

}  // namespace mq
