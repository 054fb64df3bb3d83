// What dialects have in common that store the weights of Linear modules as transposed, packed matrices under names of
// their own: GPTQ, AWQ.
#pragma once

#include <string>
#include <vector>

#include "src/dialects/dialect.hpp"
#include "src/dialects/reader.hpp"

namespace mq {

// Throws: Usage that the layout cannot hold the request.
[[noreturn]] void refuse(const DialectRequest& request, std::string_view layout, std::string expected,
                         std::string hint);

// Throws: Usage for what is no matrix, and for names that do not end in ".weight".
void require_matrix_of_module(const DialectRequest& request, std::string_view layout);

// Whether every scale belongs to a run of one row.
bool is_grouped_along_rows(const QuantSpec& spec) noexcept;

// "group_size" of configurations: -1 for one scale per channel.
std::int64_t group_size_of(const QuantSpec& spec) noexcept;

// Throws: Usage, with the numbers that fit, if rows or columns do not fill words of 32 bits.
void require_whole_words(const DialectRequest& request, std::string_view layout);

// float16 and bfloat16 as the model has them, else float16.
DType scale_dtype_of_model(const QuantSpec& spec, DType original);

// Names as regular expressions that match them and nothing else; for q, k, v and gate, up also the name that vLLM gives
// their fusion.
std::string module_pattern(const std::string& module);

// Modules of the plan that a runtime builds as Linear layers and that stay floats.
std::vector<std::string> kept_modules(const Plan& plan);
// The same without "lm_head", which runtimes keep anyway.
json::Array kept_but_head(const Plan& plan);

bool quantizes_head(const Plan& plan);

// The first quantized step, for layouts with one setting for all; null if nothing is quantized.
// Throws: Usage, with the message and the texts of both, naming the first tensor that is not like it.
const Step* first_of_alike(const Plan& plan, const char* message, bool (*alike)(const QuantSpec&, const QuantSpec&),
                           std::string (*text)(const QuantSpec&));

}  // namespace mq
