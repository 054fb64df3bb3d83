// Uses a shared library that holds mq, and mq itself.
#include <mq/mq.hpp>

#include <cstdio>

#include "wrap.hpp"

int main() {
  bool good = wrap::quantized_bytes("int8", 256) == 256 + 4;
  bool caught = false;
  try {
    wrap::quantized_bytes("int99", 256);
  } catch (const mq::Error& error) {
    caught = error.code() == mq::ErrorCode::Usage;
  }
  good = good && caught && mq::parse_spec("int4").bits == 4;
  std::printf("shared library: %s\n", good ? "good" : "BAD");
  return good ? 0 : 1;
}
