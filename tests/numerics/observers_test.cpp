#include <doctest/doctest.h>

#include <limits>

#include "mq/quantize.hpp"
#include "tests/numerics/pytorch.hpp"
#include "tests/numerics/random.hpp"
#include "tests/support/errors.hpp"

using namespace mq;
using mq::test::code_of;
using mq::test::PyTorchCases;
using mq::test::text;
using mq::test::view_of;
using mq::test::whole;

namespace {

QuantSpec spec_of(const json::Value& test, const Granularity& granularity) {
  const json::Value& params = *test.find("params");
  QuantSpec spec = parse_spec(text(params, "dtype") == "torch.quint8" ? "uint8" : "int8");
  spec.granularity = granularity;
  if (text(params, "qscheme").ends_with("affine")) {
    spec.mapping = Mapping::Asymmetric;
  } else {
    spec.range = RangeKind::Full;
  }
  return spec;
}

void check_observer(const PyTorchCases& cases, const json::Value& test, const Granularity& granularity) {
  MinMaxObserver observer(granularity);
  const std::string stream = "stream." + text(test, "stream") + ".";
  for (std::int64_t i = 0; i < whole(test, "batches"); ++i) {
    observer.observe(cases.tensor(stream + std::to_string(i)).view());
  }
  const std::vector<Range> ranges = observer.ranges();
  const QParams params = choose_qparams(ranges, spec_of(test, granularity));

  const std::string base = text(test, "scales").substr(0, text(test, "scales").size() - 1);
  CAPTURE(base);
  const Tensor lo = cases.tensor(base + "min"), hi = cases.tensor(base + "max");
  const Tensor scales = cases.tensor(base + "s"), zero_points = cases.tensor(base + "z");
  REQUIRE(ranges.size() == scales.as<float>().size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    CHECK(ranges[i] == Range{lo.as<float>()[i], hi.as<float>()[i]});
    CHECK(params.scales[i] == scales.as<float>()[i]);
    CHECK((params.zero_points.empty() ? 0 : params.zero_points[i]) == zero_points.as<std::int64_t>()[i]);
  }
}

}  // namespace

TEST_CASE("observer: ranges, scales and zero points are those of PyTorch's MinMaxObserver") {
  for (const char* file : {"numerics", "rounding"}) {
    const PyTorchCases cases(file);
    int checked = 0;
    for (const json::Value* test : cases.of_kind("observer")) {
      const std::string observer = text(*test, "observer");
      if (observer == "MinMaxObserver") check_observer(cases, *test, PerTensor{});
      if (observer == "PerChannelMinMaxObserver") check_observer(cases, *test, PerChannel{0});
      checked += observer == "MinMaxObserver" || observer == "PerChannelMinMaxObserver";
    }
    CHECK(checked == 24);
  }
}

TEST_CASE("observer: every granularity finds the range of each block") {
  const std::vector<float> x{1, -2, 3, -4, 5, 6, 7, 8, -9, 10, 11, 12};
  const Shape shape{2, 3, 2};
  const auto ranges_by = [&](const Granularity& granularity) {
    MinMaxObserver observer(granularity);
    observer.observe(view_of(x, shape));
    return observer.ranges();
  };
  CHECK(ranges_by(PerTensor{}) == std::vector<Range>{{-9, 12}});
  CHECK(ranges_by(PerChannel{0}) == std::vector<Range>{{-4, 6}, {-9, 12}});
  CHECK(ranges_by(PerChannel{1}) == std::vector<Range>{{-2, 8}, {-9, 10}, {5, 12}});
  CHECK(ranges_by(PerChannel{2}) == std::vector<Range>{{-9, 11}, {-4, 12}});
  CHECK(ranges_by(PerGroup{2}) == std::vector<Range>{{-2, 1}, {-4, 3}, {5, 6}, {7, 8}, {-9, 10}, {11, 12}});
  CHECK(ranges_by(PerBlock{2, 4}) == std::vector<Range>{{-9, 10}, {5, 12}});
}

TEST_CASE("observer: nothing seen is an empty list, and a failed batch leaves no trace") {
  MinMaxObserver observer(PerTensor{});
  CHECK(observer.ranges().empty());
  std::vector<float> x{1, 2};
  const Shape shape{2};
  observer.observe(view_of(x, shape));
  x = {100, std::numeric_limits<float>::quiet_NaN()};
  CHECK(code_of([&] { observer.observe(view_of(x, shape)); }) == ErrorCode::Numeric);
  x = {std::numeric_limits<float>::infinity(), -5};
  CHECK(code_of([&] { observer.observe(view_of(x, shape)); }) == ErrorCode::Numeric);
  CHECK(observer.ranges() == std::vector<Range>{{1, 2}});
}

TEST_CASE("observer: batches may differ where the granularity does not look, not elsewhere") {
  const std::vector<float> x(24, 1.0f);
  MinMaxObserver observer(PerChannel{1});
  observer.observe(view_of(x, Shape{2, 3, 4}));
  observer.observe(view_of(x, Shape{8, 3}));
  CHECK(observer.ranges().size() == 3);
  CHECK(code_of([&] { observer.observe(view_of(x, Shape{3, 4, 2})); }) == ErrorCode::Usage);
}
