// Holds a pickle to what it says about its storages: each key is one storage of one class and length, and its bytes
// are as many as that.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "formats/torch_backing.hpp"

namespace mq::formats::torch {

// Every storage that a pickle declares, by key, whether the object uses it or not.
// Throws: Corrupt if one is declared twice, differently; Unsupported for classes whose elements have no known size.
using DeclaredStorages = std::map<std::string, StorageRef, std::less<>>;
DeclaredStorages declared_storages(const Values& values);

class Storages {
 public:
  // Both are borrowed.
  Storages(const Values& values, Backing& backing) : values_(values), backing_(backing) {}

  // The bytes of the storage of a tensor; node and name are for errors.
  // Throws: Corrupt.
  const Blob& find(const StorageRef& storage, NodeId node, const std::string& name);

 private:
  struct Known {
    StorageRef storage;
    const Blob* blob;
  };

  const Values& values_;
  Backing& backing_;
  std::unordered_map<std::string_view, Known> known_;
};

}  // namespace mq::formats::torch
