// The catalogue of encodings, as `mq-convert schemes` lists it.
#pragma once

#include <string>
#include <vector>

namespace mq::tool {

struct SchemeRow {
  std::string name;
  std::string spec;            // what the bare name means
  double bits_per_weight = 0;  // of a 4096 x 4096 weight of a bfloat16 model
  std::string description;
  std::vector<std::string> loads_in = {};  // besides this library
  std::string dialect = {};                // the first that does
};

std::vector<SchemeRow> list_schemes();

}  // namespace mq::tool
