// Options of a module, checked; and what forward() of every module does with its operands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mq/module.hpp"
#include "src/matmul_activations.hpp"

namespace mq::detail {

// Throws: Usage, "MODULE: what: expected, found".
[[noreturn]] void refuse(std::string_view module, std::string what, std::string expected, std::string found);

// The options with activations: those of the weights' spec where there are none; spec may be null.
// Throws: Usage for a bias of another size than outputs, activations that do not exist and static ones without
// parameters; Numeric for a bias and parameters that are not finite.
ModuleOptions checked_options(ModuleOptions options, const QuantSpec* spec, std::int64_t outputs,
                              std::string_view module);

// How the input is quantized: empty for floats. Its codes are 128 less than those of static parameters.
std::optional<ActivationQuantizer> input_quantizer(const ModuleActivations& activations);
std::optional<ActivationQuantizer::Params> fixed_params(const ModuleActivations& activations);

std::int64_t size_of(const ModuleInput& x);
std::int64_t size_of(const ModuleOutput& y);
// The elements as rows of k.
ActivationRows rows_of(const ModuleInput& x, std::int64_t rows, std::int64_t k);

// Throws: Usage for codes where the module has none.
void require_code_support(const ModuleInput& x, const ModuleOutput& y, const ModuleOptions& options,
                          std::string_view module);

}  // namespace mq::detail
