// Values that many hold (mq/shared.hpp), and vectors that hold little (mq/inline_vector.hpp).
#include "mq/shared.hpp"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "mq/inline_vector.hpp"

using namespace mq;

TEST_CASE("a shared string is the text it was made of, and its copies share the bytes") {
  const SharedString name = "model.layers.0.mlp.up_proj.weight";
  const SharedString copy = name;
  CHECK(copy.view().data() == name.view().data());
  CHECK(name == "model.layers.0.mlp.up_proj.weight");
  CHECK(name + "_scale" == "model.layers.0.mlp.up_proj.weight_scale");
  CHECK("a." + SharedString("b") == "a.b");
  CHECK(std::string(name.c_str()) == name);
  CHECK(SharedString("a") < SharedString("b"));
  CHECK(SharedString() == "");
  CHECK(SharedString("").empty());
  CHECK(SharedString(std::string_view("a\0b", 3)).size() == 3);
  CHECK(sizeof(SharedString) == sizeof(void*));
}

TEST_CASE("copies of a shared string may be made and destroyed on many threads") {
  const SharedString name = "weight";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([name] {
      for (int i = 0; i < 1000; ++i) {
        SharedString copy = name;
        const SharedString moved = std::move(copy);
        if (moved != "weight") std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(name == "weight");
}

TEST_CASE("shared values are compared by what they are, and null differs from any") {
  const Shared<int> three = 3, other = 3, none;
  CHECK(three == other);
  CHECK(three == 3);
  CHECK_FALSE(none == three);
  CHECK_FALSE(none.has_value());
  CHECK(*three == 3);
}

TEST_CASE("an inline vector grows out of itself and behaves as a vector") {
  InlineVector<std::int64_t, 3> shape;
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 0; i < 20; ++i) {
    shape.push_back(i);
    expected.push_back(i);
    const InlineVector<std::int64_t, 3> copy = shape;
    CHECK(std::vector<std::int64_t>(copy.begin(), copy.end()) == expected);
    CHECK(copy == shape);
  }
  shape.insert(shape.begin(), 100);
  CHECK(shape.front() == 100);
  CHECK(shape.back() == 19);
  shape.erase(shape.begin());
  CHECK(std::vector<std::int64_t>(shape.begin(), shape.end()) == expected);
  InlineVector<std::int64_t, 3> small = {1, 2};
  small.swap(shape);
  CHECK(shape == InlineVector<std::int64_t, 3>{1, 2});
  CHECK(small.size() == 20);
  small = shape;
  small.resize(3, 7);
  CHECK(small == InlineVector<std::int64_t, 3>{1, 2, 7});
  CHECK(small > shape);
}
