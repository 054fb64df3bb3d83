// What PyTorch computed: the cases of tests/data/numerics, each a JSON object that names tensors.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mq/checkpoint.hpp"
#include "src/json.hpp"

namespace mq::test {

class PyTorchCases {
 public:
  // name: "numerics" (PyTorch 2.11), "rounding" (2.14: ties and values where x*(1/s) and x/s round differently) or
  // "modules" (2.14: quantized modules with oneDNN).
  explicit PyTorchCases(std::string_view name);

  // The cases of a kind.
  std::vector<const json::Value*> of_kind(std::string_view kind) const;
  Tensor tensor(std::string_view name) const;

 private:
  json::Value index_;
  std::unique_ptr<Checkpoint> data_;
};

// Members of a case.
std::string text(const json::Value& value, std::string_view key);
std::int64_t whole(const json::Value& value, std::string_view key);
double real(const json::Value& value, std::string_view key);

}  // namespace mq::test
