#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

std::string to_text(const Recipe& recipe, const Style&) {
  return to_string(recipe);
}

std::string to_text(const std::vector<SchemeRow>& schemes, const Style&) {
  Table table({{"scheme"}, {"bits/weight", true}, {"stands for"}, {"dialect"}, {"loads in"}, {"description"}});
  for (const SchemeRow& scheme : schemes) {
    std::string loads_in;
    for (const std::string& name : scheme.loads_in) loads_in += (loads_in.empty() ? "" : ", ") + name;
    if (loads_in.empty()) loads_in = "mq only";
    table.add(
        {scheme.name, fixed(scheme.bits_per_weight, 3), scheme.spec, scheme.dialect, loads_in, scheme.description});
  }
  return table.text() +
         "\nBits per weight are those of a 4096 x 4096 weight of a bfloat16 model, scales included.\n"
         "Every part can be changed: NAME[:tensor|:channel[=AXIS]|:gN|:bRxC][:sym|:asym][:narrow|:full|:signed][:dq][:oN]"
         "[+ACTIVATION],\nfor example int4:g32:asym or int8+int8:token:dyn.\n";
}

std::string to_text(const Presets& presets, const Style&) {
  Table table({{"--for"}, {"scheme"}, {"dialect"}, {"description"}});
  for (const Destination& row : presets.rows) {
    table.add({std::string(row.runtime) + ":" + std::string(row.name),
               std::string(row.mix.empty() ? row.scheme : row.mix), std::string(row.dialect),
               std::string(row.description)});
  }
  return "\nPresets: encoding, layout, container, and the rules of the program.\n" + table.text();
}

json::Value to_json(const Presets& presets) {
  json::Array rows;
  for (const Destination& preset : presets.rows) {
    json::Value row;
    row.set("for", std::string(preset.runtime) + ":" + std::string(preset.name));
    row.set("scheme", preset.mix.empty() ? json::Value(preset.scheme) : json::Value());
    row.set("mix", preset.mix.empty() ? json::Value() : json::Value(preset.mix));
    row.set("dialect", preset.dialect);
    row.set("format", preset.format);
    row.set("description", preset.description);
    rows.push_back(std::move(row));
  }
  return rows;
}

json::Value to_json(const std::vector<SchemeRow>& schemes) {
  json::Array rows;
  for (const SchemeRow& scheme : schemes) {
    json::Value row;
    row.set("name", scheme.name);
    row.set("spec", scheme.spec);
    row.set("bits_per_weight", scheme.bits_per_weight);
    row.set("description", scheme.description);
    row.set("dialect", scheme.dialect);
    row.set("loads_in", string_array(scheme.loads_in));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace mq::tool
