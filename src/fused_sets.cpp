#include "src/fused_sets.hpp"

#include <array>

namespace mq {
namespace {

struct Member {
  std::string_view part, set;
};
constexpr std::array<Member, 7> kMembers{{{".q_proj.", ".qkv."},
                                          {".k_proj.", ".qkv."},
                                          {".v_proj.", ".qkv."},
                                          {".gate_proj.", ".gate_up."},
                                          {".up_proj.", ".gate_up."},
                                          {".w1.", ".w13."},
                                          {".w3.", ".w13."}}};

}  // namespace

std::string fused_set_of(std::string_view name) {
  for (const Member& member : kMembers) {
    const std::size_t at = name.rfind(member.part);
    if (at == std::string_view::npos) continue;
    std::string set(name.substr(0, at));
    return set.append(member.set).append(name.substr(at + member.part.size()));
  }
  return {};
}

}  // namespace mq
