// Reads deflated records of an archive at any place, from any thread, in memory that does not grow with them.
//
// Deflated data can only be read forwards, so positions are kept to start from: cursors where earlier reads ended, and
// copies of cursors along the way. Reading a record forwards inflates it once, also where several threads take turns:
// a thread whose bytes come next waits for the one before it instead of starting anew. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "formats/inflate.hpp"

namespace mq::formats {

class DeflatedReads {
 public:
  // Positions kept along the way, 40 KiB each: of all records together, and of one record, so that reading at a random
  // place of what was once passed inflates 1/64 of it at most; none are closer than kMinSpacing.
  static constexpr std::size_t kMaxPoints = 256;
  static constexpr std::size_t kMaxPointsOfRecord = 64;
  static constexpr std::uint64_t kMinSpacing = std::uint64_t{1} << 20;
  // Cursors where earlier reads ended, the latest ones.
  static constexpr std::size_t kMaxIdle = 16;

  DeflatedReads();

  // Fills out with the content of the range from first on; first + out.size() <= size_bytes. Ranges of one object lie
  // in one file without overlap.
  // Throws: as InflateCursor.
  void read(const DeflatedRange& range, std::uint64_t first, std::span<std::byte> out);

  // How many positions are kept.
  std::size_t points() const;
  std::size_t idle() const;

 private:
  using Key = std::uint64_t;  // of a range: its offset
  struct Idle {
    Key key;
    InflateCursor cursor;
  };
  struct Place {
    Key key;
    std::uint64_t position;

    bool operator==(const Place&) const = default;
  };
  class Turn;

  InflateCursor take(const DeflatedRange& range, std::uint64_t first, std::uint64_t end);
  bool must_wait(Key key, std::uint64_t first, std::uint64_t start, bool from_idle) const;
  void keep_idle(Key key, InflateCursor cursor);
  void keep_point(const DeflatedRange& range, const InflateCursor& cursor);
  void forget_oldest_points();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Idle> idle_;      // the oldest first
  std::vector<Place> busy_;     // where the cursors that threads use will end
  std::vector<Place> waiting_;  // where threads want to begin
  std::map<std::pair<Key, std::uint64_t>, InflateCursor> points_;
  std::vector<Key> recent_;  // records with points, the one that got the latest last
};

}  // namespace mq::formats
