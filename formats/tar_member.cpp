#include "formats/tar_member.hpp"

#include <span>
#include <utility>

#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/pickle_stream.hpp"

namespace mq::formats {

using pickle::Kind;
using pickle::NodeId;

pickle::Pickle MemberReader::literal(std::string& bytes) {
  const std::string source = file_.path().string();
  const PickleRange range = find_pickle(file_, position_, source, limits_);
  bytes = read_pickle_text(file_, range);
  pickle::Pickle pickle = pickle::parse(std::as_bytes(std::span(bytes)), source, limits_);
  for (NodeId id = 0; id < pickle.graph.size(); ++id) {
    if (pickle.graph.kind(id) == Kind::Object || pickle.graph.kind(id) == Kind::PersistentId) {
      fail(ErrorCode::Unsupported, "more than literals in the description of tensors");
    }
  }
  position_ += range.size_bytes;
  return pickle;
}

std::int64_t MemberReader::count(const char* what) {
  std::string bytes;
  const pickle::Pickle pickle = literal(bytes);
  if (pickle.graph.kind(pickle.root) != Kind::Int || pickle.graph.integer(pickle.root) < 0) {
    fail(ErrorCode::Corrupt, std::string("number of ") + what);
  }
  return pickle.graph.integer(pickle.root);
}

Shape MemberReader::integers(std::uint64_t count) {
  const std::uint64_t first = skip(count * sizeof(std::int64_t));
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * sizeof(std::int64_t));
  file_.read(first, bytes);
  io::ByteReader reader(bytes, "");
  Shape out;
  while (!reader.at_end()) out.push_back(reader.i64());
  return out;
}

std::uint64_t MemberReader::skip(std::uint64_t size_bytes) {
  if (!io::range_fits(position_, size_bytes, file_.size())) {
    fail(ErrorCode::Corrupt, "the member ends too early", std::to_string(size_bytes) + " bytes",
         std::to_string(file_.size() - position_));
  }
  return std::exchange(position_, position_ + size_bytes);
}

void MemberReader::fail(ErrorCode code, std::string message, std::string expected, std::string found) const {
  throw Error({.code = code,
               .message = std::move(message),
               .file = file_.path().string(),
               .offset = position_,
               .expected = std::move(expected),
               .found = std::move(found)});
}

}  // namespace mq::formats
