// Files made to harm their reader: each is a sound file with one thing wrong, built anew from code. What is to be said
// about each stands in expected.txt.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mq/checkpoint.hpp"
#include "tests/support/zip_builder.hpp"

namespace mq::attacks {

struct Attack {
  std::string name;  // "zip/local-name": area and what is wrong
  std::string bytes;
  OpenOptions options = {};
  // Done to the file after it was opened and before it is read; empty: nothing.
  std::function<void(const std::filesystem::path&)> meanwhile = {};
};

class Attacks {
 public:
  explicit Attacks(std::string_view area) : area_(area) {}

  void add(std::string_view name, std::string bytes, OpenOptions options = {}) {
    list_.push_back({area_ + "/" + std::string(name), std::move(bytes), std::move(options), {}});
  }
  void add_change(std::string_view name, std::string bytes, std::function<void(const std::filesystem::path&)> change) {
    list_.push_back({area_ + "/" + std::string(name), std::move(bytes), {}, std::move(change)});
  }
  // A checkpoint of torch.save with this pickle, which STOP ends, and the storages "0" and "1" of six floats each.
  void add_pickle(std::string_view name, const test::PickleBuilder& pickle, OpenOptions options = {}) {
    add_torch(name, {.pickle = pickle.bytes() + ".", .storages = {test::float_bytes(6), test::float_bytes(6)}},
              std::move(options));
  }
  void add_torch(std::string_view name, const test::TorchFile& file, OpenOptions options = {}) {
    add(name, test::torch_bytes(file), std::move(options));
  }

  std::vector<Attack> take() && { return std::move(list_); }

 private:
  std::string area_;
  std::vector<Attack> list_;
};

// {"w": a good tensor}, left open: what follows is set in this dict.
inline test::PickleBuilder good_dict() {
  test::PickleBuilder p;
  p.proto().empty_dict().text("w").vector("0", 6).setitem();
  return p;
}

// The same with a key "x" whose value this program leaves on the stack.
inline test::PickleBuilder good_dict_with(std::string_view program) {
  test::PickleBuilder p = good_dict();
  p.text("x").raw(program).setitem();
  return p;
}

// One list for each area; a name begins with the area's.
std::vector<Attack> call_attacks();
std::vector<Attack> pickle_attacks();
std::vector<Attack> bomb_attacks();
std::vector<Attack> tensor_attacks();
std::vector<Attack> torch_attacks();
std::vector<Attack> old_torch_attacks();
std::vector<Attack> zip_attacks();
std::vector<Attack> safetensors_attacks();
std::vector<Attack> gguf_attacks();

std::vector<Attack> all_attacks();

// "zip-local-name": the name of the file of an attack.
std::string file_name(const Attack& attack);

}  // namespace mq::attacks
