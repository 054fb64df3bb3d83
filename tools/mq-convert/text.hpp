// Numbers as people read them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mq::tool {

std::string fixed(double value, int digits);
std::string human_bytes(std::int64_t bytes);                    // "512 B", "1.9 GB"
std::string human_count(std::int64_t count);                    // "20,978,176"
std::string decibels(double db);                                // "42.2 dB"; "exact" without any error
std::string small_number(double value);                         // four significant digits
std::string percent(double part, double whole);                 // "25.3 %"
std::string clock_text(double seconds);                         // "0:04", "1:02:03"
std::string duration_text(double seconds);                      // "354 ms", "1.35 s", "2:03"
std::string plural(std::int64_t count, std::string_view noun);  // "1 tensor", "7 tensors"

}  // namespace mq::tool
