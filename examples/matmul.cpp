#include <mq/mq.hpp>

#include <cstdio>
#include <vector>

// The product of four rows of activations and weights in int4 groups of 32, packed once.
int main() try {
  constexpr std::int64_t kRows = 4, kIn = 256, kOut = 48;
  mq::Buffer numbers(kOut * kIn * sizeof(float));
  for (std::int64_t i = 0; i < kOut * kIn; ++i) numbers.as<float>()[i] = static_cast<float>(i * 37 % 101 - 50) / 50;
  const mq::Tensor weights(mq::DType::Float32, {kOut, kIn}, std::move(numbers));

  const mq::PackedWeights packed = mq::pack_for_matmul(mq::quantize(weights.view(), mq::parse_spec("int4:g32")));

  const std::vector<float> x(kRows * kIn, 0.5f), bias(kOut, 1.0f);
  std::vector<float> y(kRows * kOut);
  const std::int64_t shape[] = {kRows, kIn};
  const auto executor = mq::make_thread_executor(mq::usable_processors());
  mq::MatmulWorkspace workspace;
  mq::MatmulOptions options;
  options.activations = mq::ActivationSpec{};  // int8, one scale per row; leave it out for float activations
  options.bias = bias;
  options.executor = executor.get();
  options.workspace = &workspace;
  mq::matmul({mq::DType::Float32, shape, std::as_bytes(std::span(x))}, packed, y, options);
  std::printf("y[0][0] = %g, by %s\n", static_cast<double>(y[0]), std::string(mq::active_matmul_isa()).c_str());
} catch (const mq::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return mq::exit_code(error.code());
}
