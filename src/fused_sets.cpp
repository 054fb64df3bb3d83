#include "src/fused_sets.hpp"

#include <array>

namespace mq {
namespace {

struct Member {
  std::string_view leaf, set;
  std::string_view module;  // empty: not a module of its own
};
constexpr std::array<Member, 7> kMembers{{{"q_proj", "qkv", "qkv_proj"},
                                          {"k_proj", "qkv", "qkv_proj"},
                                          {"v_proj", "qkv", "qkv_proj"},
                                          {"gate_proj", "gate_up", "gate_up_proj"},
                                          {"up_proj", "gate_up", "gate_up_proj"},
                                          {"w1", "w13", ""},
                                          {"w3", "w13", ""}}};

}  // namespace

std::string fused_set_of(std::string_view name) {
  for (const Member& member : kMembers) {
    const std::size_t at = name.rfind(std::string(".").append(member.leaf).append("."));
    if (at == std::string_view::npos) continue;
    std::string set(name.substr(0, at + 1));
    return set.append(member.set).append(name.substr(at + 1 + member.leaf.size()));
  }
  return {};
}

std::string_view fused_module_of(std::string_view leaf) noexcept {
  for (const Member& member : kMembers) {
    if (member.leaf == leaf) return member.module;
  }
  return {};
}

}  // namespace mq
