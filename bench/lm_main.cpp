#include <iostream>
#include <string>
#include <vector>

#include "bench/lm_command.hpp"

int main(int argc, char** argv) {
  return mq::bench::run_lm(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr);
}
