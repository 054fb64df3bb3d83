// Every operation in its vector form; an instruction set that lacks one still fills its table.
#pragma once

#include "kernels/checksum.hpp"
#include "kernels/choose_candidate.hpp"
#include "kernels/dequantize.hpp"
#include "kernels/digest.hpp"
#include "kernels/fp8.hpp"
#include "kernels/levels.hpp"
#include "kernels/metrics.hpp"
#include "kernels/minmax.hpp"
#include "kernels/minmax_halves.hpp"
#include "kernels/narrow.hpp"
#include "kernels/pack.hpp"
#include "kernels/quantize.hpp"
#include "kernels/quantize_measured.hpp"
#include "kernels/search.hpp"
#include "kernels/search_min.hpp"
#include "kernels/widen.hpp"

namespace mq::kernels {

template <class Isa>
struct VectorOps : Minmax<Isa>,
                   MinmaxHalves<Isa>,
                   Quantize<Isa>,
                   QuantizeMeasured<Isa>,
                   Search<VectorSearch<Isa>>,
                   SearchMin<VectorSearch<Isa>>,
                   ChooseCandidate<VectorSearch<Isa>>,
                   Dequantize<Isa>,
                   Fp8<Isa>,
                   LevelCodes<Isa>,
                   Widen<Isa>,
                   Narrow<Isa>,
                   Pack<Isa>,
                   Metrics<Isa>,
                   Checksum<Isa>,
                   Digest<Isa> {};

}  // namespace mq::kernels
