#include "tests/attacks/attack.hpp"

#include <algorithm>
#include <iterator>

namespace mq::attacks {

std::vector<Attack> all_attacks() {
  std::vector<Attack> all;
  for (auto* const list : {call_attacks, pickle_attacks, bomb_attacks, tensor_attacks, torch_attacks, old_torch_attacks,
                           zip_attacks, safetensors_attacks, gguf_attacks}) {
    std::ranges::move(list(), std::back_inserter(all));
  }
  return all;
}

std::string file_name(const Attack& attack) {
  std::string name = attack.name;
  std::ranges::replace(name, '/', '-');
  return name;
}

}  // namespace mq::attacks
