// What ggml's reference code makes of x[i] = ((37 * i + 11) mod 101 - 50) / 16, one block of each type, as hexadecimal
// digits.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mq/dtype.hpp"

namespace mq::test {

struct GgufGolden {
  DType dtype;
  std::string_view hex;
};

inline constexpr std::array kGgufGolden{
    GgufGolden{DType::Q8_0, "4d269dfb59b61472d02e8be947a50361be1c7ad73593f14fac0a68c62481df3d9af8"},
    GgufGolden{DType::Q4_0, "4036f258be1379df359bf147ac0268ce248a"},
    GgufGolden{DType::Q4_1, "893640c2f257bd1379cf358ae146ac0268bd2479"},
    GgufGolden{DType::Q5_0, "4032b4b4a525f4bf7b27e3ae5a16d19d4904c08c38f4"},
    GgufGolden{DType::Q5_1, "533240c2b4b4a525f3bf6b27e2ae5a16d19d4904c07c38f3"},
    GgufGolden{DType::IQ4_NL, "9826f157ce137adf249be146bd0258ce137a"},
    GgufGolden{DType::MXFP4, "7e7ec056fe9267ec147fda35feb056ed93"},
    GgufGolden{DType::NVFP4, "2f303030ffa966ee0277dd3477dc35ffb956ee9156ee0267dc247fca347fba56fe9166ed"},
    GgufGolden{DType::Q2_K,
               "bcdfeebeefaceeacdedecddffedeffce6cb51b6cc61ba1c66cb1db6cb61b6cc61b71c618b1c66cb21b6dc618b1c628b1"
               "68b1d66cb11b6c861bb1c66cb1d66cb21b6d861b71c628b1d76cb61b6d861bb101309d32"},
    GgufGolden{DType::Q3_K,
               "66cdb366d9336c9936cc9b66cdb366d94d1ae74cb3e758b3ed18b74c9ae74cb3897833de9d7727ed886be2d97837de9d"
               "db2f7589dc227688df2275c91f7285d84827e28d7823de897722dd8877e29d785df2b79c2db68b5de2f7485d22b7882d"
               "66a260aa50aa660900fc003fdfa7"},
    GgufGolden{DType::Q4_K,
               "de1e802afffffffafff8fafaceafbfbcc2278dd3499e055ab1167cc2388de449af056bb1277cd3389ee45aa0166bc227"
               "48ad0469c0157bd1379cf358ae046ac0268be2379df359be157ad1268ce248ada0156bc1278cd3489e045ab0167bc237"
               "8de349ae056ab1267cd2389de459af15268ce248ad0459b0157bd1379ce348ae046ac0267bd2379df359be156ac1268c"},
    GgufGolden{DType::Q5_K,
               "861a532afdfdfdfdfefbfdfeffcdedfd26cc9366c9336499324c9926cd9366d9336c9936cc9b66cdb366d9326c9936cc"
               "a35f1bd6924e0ac6813df9b4602ce7a35f1bd7924e0ac5713df8a4602ce7a35f915d09c5803cf8b36f2be7a26e1ad691"
               "4d09c4703cf7b37f2be7a25e1ad5814d702be7a35f1ad6924d09c5813cf8b4602be7935e1ad6924d09c5703cf8a46f2b"
               "5e1ad5915d09c5803cf8b36f2be6a25e1ad6914d09c4703cf7b36f2be7a25e1a"},
    GgufGolden{DType::Q6_K,
               "45df28bc069f137cf08ad367f14ade285ed67df57c038b02aa22b931b85fd75e26ac058d037bf179d258d048ce27af25"
               "83fc741d960eb62fd840b961da53fb74d158bf37be25ad048b047bf37ad159d0c941ea63eb74fb741d951ea72fc841c9"
               "bf35ad169b048df26be069d147cf38bd1a922c840d85ed77ff57d038b04aa22b6cb11b6cc61b71c61cb1cb6cb21b6cc6"
               "e74d3ad04d37904ae7913ae44d3a904d18b1c66cb11b6c861b71c61cb1c76cb22453f9248ef9138ef4538d2452f9248e"
               "8d81877c897a8677807f897a867a84877592"},
    GgufGolden{DType::IQ4_XS,
               "ab923c0ce00ee021f157ce137adf249be146bd0258ce137a42fd9621ec741fda530eb831fd9620eba721ec751fda530e"
               "b842fd9620ec741f248be035acf157ce137adf249be146bde035acf157ce1369df249be136adf258630fc942fea721ec"
               "751fda530eb842fd47be1269df248be035adf157ce137adf0269df138be035adf147ce1269df249b"},
};

inline std::vector<float> gguf_golden_input(std::int64_t numel) {
  std::vector<float> x;
  for (std::int64_t i = 0; i < numel; ++i) x.push_back(static_cast<float>((37 * i + 11) % 101 - 50) / 16.0F);
  return x;
}

inline std::vector<std::uint8_t> from_hex(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

}  // namespace mq::test
