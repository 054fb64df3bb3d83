#include <mq/mq.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

// A convolution, Linears and an Embedding quantized here from made-up floats, and the layer fc1 of the checkpoint
// argv[1].
namespace {

mq::Tensor made_up(mq::Shape shape) {
  mq::Buffer numbers(static_cast<std::size_t>(mq::numel(shape)) * sizeof(float));
  float* const x = numbers.as<float>();
  for (std::int64_t i = 0; i < mq::numel(shape); ++i) x[i] = static_cast<float>(i * 37 % 101 - 50) / 100;
  return {mq::DType::Float32, std::move(shape), std::move(numbers)};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const mq::QuantSpec int8 = mq::parse_spec("int8:channel:full");
  const auto executor = mq::make_thread_executor(mq::usable_processors());
  mq::MatmulWorkspace workspace;
  const mq::ForwardOptions how{.executor = executor.get(), .workspace = &workspace};

  // Depthwise, codes in and codes out: ranges that were observed before give the parameters.
  const mq::TensorQParams in = mq::tensor_qparams({-1, 1}), out = mq::tensor_qparams({-2, 2});
  const mq::QuantizedConv2d conv(made_up({8, 1, 3, 3}).view(), int8, {.padding = {1, 1}, .groups = 8},
                                 {.activations = mq::StaticActivations{in, out}, .relu = true});
  const mq::ImageShape image = {.batch = 1, .channels = 8, .height = 4, .width = 4};
  const std::vector<std::uint8_t> codes(8 * 4 * 4, 200);  // of 0.56
  std::vector<std::uint8_t> features(codes.size());       // of conv.output_shape(image)
  conv.forward(codes, image, features, how);

  // Takes the codes as they are, gives floats.
  const mq::QuantizedLinear linear(made_up({10, 128}).view(), int8, {.activations = mq::StaticActivations{out}});
  std::vector<float> y(10);
  linear.forward(features, y, how);

  // As PyTorch's dynamic Linear: floats in, quantized on the way.
  const mq::QuantizedLinear dynamic(made_up({10, 10}).view(), int8,
                                    {.activations = mq::pytorch_dynamic_activations(), .bias = y});
  std::vector<float> z(10);
  dynamic.forward(y, z, how);

  const auto checkpoint = mq::open_checkpoint(argv[1]);
  const auto layer = mq::QuantizedLinear::load(*checkpoint, "fc1");
  const std::vector<float> x(static_cast<std::size_t>(layer.in_features()), 1.0f);
  std::vector<float> loaded(static_cast<std::size_t>(layer.out_features()));
  layer.forward(x, loaded, how);

  const mq::QuantizedEmbedding embedding(made_up({100, 64}).view(), mq::parse_spec("int4:g32"));
  std::vector<float> rows(2 * 64);
  embedding.forward(std::vector<std::int64_t>{3, 97}, rows);
  std::printf("y[0] = %g, z[0] = %g, fc1 %g, row 3 begins with %g\n", static_cast<double>(y[0]),
              static_cast<double>(z[0]), static_cast<double>(loaded[0]), static_cast<double>(rows[0]));
} catch (const mq::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return mq::exit_code(error.code());
}
