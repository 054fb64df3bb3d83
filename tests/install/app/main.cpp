// An application: quantizes a tensor in memory and catches what the library throws.
#include <mq/mq.hpp>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

namespace {

bool round_trip(const std::string& scheme, float bound) {
  const std::vector<std::int64_t> shape = {4, 64};
  std::vector<float> x(4 * 64);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
  const mq::TensorView view{mq::DType::Float32, shape, std::as_bytes(std::span(x))};
  const mq::QuantizedTensor quantized = mq::quantize(view, mq::parse_spec(scheme));
  const mq::Tensor decoded = mq::dequantize(quantized);
  const std::span<const float> y = decoded.as<float>();
  float worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) worst = std::fmax(worst, std::fabs(x[i] - y[i]));
  std::printf("%s: largest error %g\n", mq::to_string(quantized.spec()).c_str(), static_cast<double>(worst));
  return worst > 0 && worst < bound;
}

bool refuses_a_missing_file() {
  try {
    mq::open_checkpoint("/no/such/checkpoint");
  } catch (const mq::Error& error) {
    return error.code() == mq::ErrorCode::Io;
  }
  return false;
}

}  // namespace

int main() {
  const bool good = round_trip("int8", 0.005f) && round_trip("int4:g32:asym", 0.08f) && refuses_a_missing_file();
  std::printf("application: %s, kernels %s\n", good ? "good" : "BAD", std::string(mq::active_isa()).c_str());
  return good ? 0 : 1;
}
