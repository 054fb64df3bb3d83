// "Did you mean": the candidate closest to a misspelt word.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace mq {

// The candidate with the smallest edit distance to word, the first on ties; empty if none is close (more than half of
// the word would change).
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

// "did you mean 'x'?", or nothing where nothing is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace mq
