#include "bench/peers.hpp"

#include <Eigen/Core>
#include <vector>

#if MQ_HAS_OPENBLAS
#include <cblas.h>
#endif
#if MQ_HAS_ONEDNN
#include <omp.h>

#include <dnnl.hpp>
#endif

namespace mq::bench {
namespace {

// Whole numbers from -range to range, the same each time.
template <class T>
std::vector<T> numbers(std::int64_t count, int range) {
  std::vector<T> values(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (T& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<T>(static_cast<int>(state >> 16) % (2 * range + 1) - range);
  }
  return values;
}

double dot(const auto& x, const auto& w, std::int64_t k) {
  double sum = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(w[i]);
  }
  return sum;
}

// Rows of activations and weights as floats.
class FloatProduct : public PeerProduct {
 public:
  explicit FloatProduct(const PeerShape& shape)
      : shape_(shape),
        x_(numbers<float>(shape.m * shape.k, 100)),
        weights_(shape.copies, numbers<float>(shape.n * shape.k, 100)),
        y_(static_cast<std::size_t>(shape.m * shape.n)) {}

  double first() const override { return static_cast<double>(y_[0]); }
  double expected() const override { return dot(x_, weights_[0], shape_.k); }

 protected:
  PeerShape shape_;
  std::vector<float> x_;
  std::vector<std::vector<float>> weights_;
  std::vector<float> y_;
};

class EigenProduct final : public FloatProduct {
 public:
  explicit EigenProduct(const PeerShape& shape) : FloatProduct(shape) { Eigen::setNbThreads(shape.threads); }

  void run(std::size_t copy) override {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    const Eigen::Map<const Matrix> x(x_.data(), shape_.m, shape_.k), w(weights_[copy].data(), shape_.n, shape_.k);
    Eigen::Map<Matrix>(y_.data(), shape_.m, shape_.n).noalias() = x * w.transpose();
  }
};

#if MQ_HAS_OPENBLAS
class OpenBlasProduct final : public FloatProduct {
 public:
  explicit OpenBlasProduct(const PeerShape& shape) : FloatProduct(shape) { openblas_set_num_threads(shape.threads); }

  void run(std::size_t copy) override {
    const auto m = static_cast<int>(shape_.m), n = static_cast<int>(shape_.n), k = static_cast<int>(shape_.k);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1.0f, x_.data(), k, weights_[copy].data(), k, 0.0f,
                y_.data(), n);
  }
};
#endif

#if MQ_HAS_ONEDNN
class OneDnnProduct final : public PeerProduct {
 public:
  explicit OneDnnProduct(const PeerShape& shape)
      : shape_(shape),
        x_(numbers<std::uint8_t>(shape.m * shape.k, 100)),
        weights_(numbers<std::int8_t>(shape.n * shape.k, 100)),
        y_(static_cast<std::size_t>(shape.m * shape.n)) {
    using dnnl::memory;
    omp_set_num_threads(shape.threads);
    const memory::desc src({shape.m, shape.k}, memory::data_type::u8, memory::format_tag::ab);
    const memory::desc any({shape.k, shape.n}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc rows({shape.k, shape.n}, memory::data_type::s8, memory::format_tag::ba);
    const memory::desc dst({shape.m, shape.n}, memory::data_type::f32, memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    attributes.set_output_scales(1 << 1, std::vector<float>(static_cast<std::size_t>(shape.n), kScale));
    const dnnl::matmul::primitive_desc description({src, any, dst}, attributes, engine_);
    product_ = dnnl::matmul(description);
    memory given(rows, engine_, weights_.data());
    for (std::size_t i = 0; i < shape.copies; ++i) {
      memory packed(description.weights_desc(), engine_);
      dnnl::reorder(given, packed).execute(stream_, given, packed);
      packed_.push_back(std::move(packed));
    }
    stream_.wait();
    source_ = memory(src, engine_, x_.data());
    result_ = memory(dst, engine_, y_.data());
  }

  void run(std::size_t copy) override {
    product_.execute(stream_, {{DNNL_ARG_SRC, source_}, {DNNL_ARG_WEIGHTS, packed_[copy]}, {DNNL_ARG_DST, result_}});
    stream_.wait();
  }
  double first() const override { return static_cast<double>(y_[0]); }
  double expected() const override { return static_cast<double>(kScale) * dot(x_, weights_, shape_.k); }

 private:
  static constexpr float kScale = 0.125f;

  PeerShape shape_;
  std::vector<std::uint8_t> x_;
  std::vector<std::int8_t> weights_;
  std::vector<float> y_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::matmul product_;
  std::vector<dnnl::memory> packed_;
  dnnl::memory source_, result_;
};
#endif

template <class T>
std::unique_ptr<PeerProduct> make(const PeerShape& shape) {
  return std::make_unique<T>(shape);
}

}  // namespace

std::span<const Peer> peers() {
  static const std::vector<Peer> kPeers = {
#if MQ_HAS_ONEDNN
    {"onednn", true, 1, make<OneDnnProduct>},
#endif
#if MQ_HAS_OPENBLAS
    {"openblas-f32", false, 4, make<OpenBlasProduct>},
#endif
    {"eigen-f32", false, 4, make<EigenProduct>},
  };
  return kPeers;
}

}  // namespace mq::bench
