// An application with its own Eigen, compiled for this very machine.
#include <mq/mq.hpp>

#include <Eigen/Dense>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

int main() {
  bool good = true;
  for (const Eigen::Index size : {1, 33, 128}) {
    const Matrix weight = Matrix::Random(size, 128);
    const Matrix x = Matrix::Random(128, size);
    const std::vector<std::int64_t> shape = {weight.rows(), weight.cols()};
    const std::span<const float> values(weight.data(), static_cast<std::size_t>(weight.size()));
    const mq::Tensor decoded =
        mq::dequantize(mq::quantize({mq::DType::Float32, shape, std::as_bytes(values)}, mq::parse_spec("int8")));
    const Eigen::Map<const Matrix> rounded(decoded.as<float>().data(), weight.rows(), weight.cols());
    const float error = (rounded * x - weight * x).norm() / (weight * x).norm();
    good = good && error > 0 && error < 0.02f;
  }
  std::printf("Eigen application: %s\n", good ? "good" : "BAD");
  return good ? 0 : 1;
}
