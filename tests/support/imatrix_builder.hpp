// Importance matrices as llama.cpp wrote them first, byte by byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace mq::test {

class ImatrixBuilder {
 public:
  ImatrixBuilder& number(std::int32_t value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  ImatrixBuilder& text(std::string_view value) {
    number(static_cast<std::int32_t>(value.size()));
    bytes_ += value;
    return *this;
  }
  ImatrixBuilder& entry(std::string_view name, std::int32_t evaluations, const std::vector<float>& sums) {
    text(name).number(evaluations).number(static_cast<std::int32_t>(sums.size()));
    bytes_.append(reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(float));
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace mq::test
