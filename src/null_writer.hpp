// A writer for runs of which only the report is wanted. Unlike that of make_null_writer() it checks nothing, so that a
// run may also be a part of a plan.
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
