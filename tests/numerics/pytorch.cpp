#include "tests/numerics/pytorch.hpp"

#include <stdexcept>

#include "tests/support/files.hpp"
#include "tests/support/paths.hpp"

namespace mq::test {
namespace {

template <class T>
const T& present(const T* value, std::string_view what) {
  if (value == nullptr) throw std::runtime_error("tests/data/numerics: no " + std::string(what));
  return *value;
}

}  // namespace

PyTorchCases::PyTorchCases(std::string_view name) {
  const std::filesystem::path base = data_dir() / "numerics" / name;
  index_ = json::parse(read_file(base.string() + ".json"), name);
  data_ = open_checkpoint(base.string() + ".safetensors");
}

std::vector<const json::Value*> PyTorchCases::of_kind(std::string_view kind) const {
  std::vector<const json::Value*> found;
  for (const json::Value& value : present(present(index_.find("cases"), "cases").as_array(), "cases")) {
    if (text(value, "kind") == kind) found.push_back(&value);
  }
  return found;
}

Tensor PyTorchCases::tensor(std::string_view name) const {
  const auto index = data_->find(name);
  if (!index) throw std::runtime_error("tests/data/numerics: no tensor " + std::string(name));
  return data_->read(*index);
}

std::string text(const json::Value& value, std::string_view key) {
  return present(present(value.find(key), key).as_string(), key);
}

std::int64_t whole(const json::Value& value, std::string_view key) {
  return present(present(value.find(key), key).as_int(), key);
}

double real(const json::Value& value, std::string_view key) {
  const json::Value& member = present(value.find(key), key);
  return member.as_int() != nullptr ? static_cast<double>(*member.as_int()) : present(member.as_double(), key);
}

}  // namespace mq::test
