#include "formats/deflated_reads.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace mq::formats {
namespace {

// Inflating so much costs less than waiting for another thread, and less than a copy of a cursor is worth.
constexpr std::uint64_t kNearBytes = 128 * 1024;

std::uint64_t spacing_of(const DeflatedRange& range) {
  return std::max(DeflatedReads::kMinSpacing, range.size_bytes / DeflatedReads::kMaxPointsOfRecord + 1);
}

}  // namespace

// A thread's use of a cursor. However it ends, others learn of it.
class DeflatedReads::Turn {
 public:
  Turn(DeflatedReads& reads, Place place) : reads_(reads), place_(place) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    const std::lock_guard lock(reads_.mutex_);
    reads_.busy_.erase(std::ranges::find(reads_.busy_, place_));
    if (left_) reads_.keep_idle(place_.key, std::move(*left_));
    reads_.changed_.notify_all();
  }
  void leave(InflateCursor cursor) { left_.emplace(std::move(cursor)); }

 private:
  DeflatedReads& reads_;
  Place place_;
  std::optional<InflateCursor> left_;
};

DeflatedReads::DeflatedReads() {
  idle_.reserve(kMaxIdle);  // cursors come back in a destructor, which must not fail
}

void DeflatedReads::read(const DeflatedRange& range, std::uint64_t first, std::span<std::byte> out) {
  if (out.empty() && range.size_bytes != 0) return;
  const std::uint64_t end = first + out.size();
  InflateCursor cursor = take(range, first, end);
  Turn turn(*this, {range.offset, end});
  const std::uint64_t spacing = spacing_of(range);
  do {
    const std::uint64_t at = cursor.position();
    const std::uint64_t stop = std::min(at < first ? first : end, at - at % spacing + spacing);
    if (at < first) {
      cursor.skip(range, stop - at);
    } else {
      cursor.read(range, out.subspan(static_cast<std::size_t>(at - first), static_cast<std::size_t>(stop - at)));
    }
    if (stop % spacing == 0 && stop != range.size_bytes) keep_point(range, cursor);
  } while (cursor.position() < end);
  if (end < range.size_bytes) turn.leave(std::move(cursor));
}

// Whether a cursor of another thread will soon be nearer to first than `start`, or a thread that wants to begin earlier
// should have the idle cursor that stands there.
bool DeflatedReads::must_wait(Key key, std::uint64_t first, std::uint64_t start, bool from_idle) const {
  if (first - start <= kNearBytes) return false;
  const auto between = [&](const Place& place) {
    return place.key == key && place.position >= start && place.position < first;
  };
  const auto nearer = [&](const Place& place) {
    return place.key == key && place.position > start && place.position <= first;
  };
  return std::ranges::any_of(busy_, nearer) || (from_idle && std::ranges::any_of(waiting_, between));
}

InflateCursor DeflatedReads::take(const DeflatedRange& range, std::uint64_t first, std::uint64_t end) {
  const Key key = range.offset;
  std::unique_lock lock(mutex_);
  bool waits = false;
  for (;;) {
    const auto usable = [&](const Idle& idle) { return idle.key == key && idle.cursor.position() <= first; };
    auto nearest = idle_.end();
    for (auto idle = idle_.begin(); idle != idle_.end(); ++idle) {
      if (!usable(*idle)) continue;
      if (nearest == idle_.end() || idle->cursor.position() >= nearest->cursor.position()) nearest = idle;
    }
    auto point = points_.upper_bound({key, first});
    const bool has_point = point != points_.begin() && (--point)->first.first == key;
    const std::uint64_t point_at = has_point ? point->first.second : 0;
    const bool from_idle = nearest != idle_.end() && nearest->cursor.position() >= point_at;
    const std::uint64_t start = from_idle ? nearest->cursor.position() : point_at;
    if (must_wait(key, first, start, from_idle)) {
      if (!std::exchange(waits, true)) waiting_.push_back({key, first});
      changed_.wait(lock);
      continue;
    }
    if (waits) waiting_.erase(std::ranges::find(waiting_, Place{key, first}));
    busy_.push_back({key, end});
    try {
      if (!from_idle) return has_point ? point->second.copy() : InflateCursor(range);
      // What is skipped now may be what another thread reads next.
      if (first - start > kNearBytes) return nearest->cursor.copy();
      InflateCursor cursor = std::move(nearest->cursor);
      idle_.erase(nearest);
      return cursor;
    } catch (...) {
      busy_.pop_back();
      changed_.notify_all();
      throw;
    }
  }
}

void DeflatedReads::keep_idle(Key key, InflateCursor cursor) {
  if (idle_.size() == kMaxIdle) idle_.erase(idle_.begin());
  idle_.push_back({key, std::move(cursor)});
}

void DeflatedReads::keep_point(const DeflatedRange& range, const InflateCursor& cursor) {
  const Key key = range.offset;
  {
    const std::lock_guard lock(mutex_);
    if (points_.contains({key, cursor.position()})) return;
  }
  InflateCursor copy = cursor.copy();
  const std::lock_guard lock(mutex_);
  std::erase(recent_, key);
  if (points_.size() >= kMaxPoints) forget_oldest_points();
  recent_.push_back(key);
  points_.emplace(std::pair(key, copy.position()), std::move(copy));
}

// Makes room: the points of the record that got one longest ago go. One record alone never fills all the room.
void DeflatedReads::forget_oldest_points() {
  const Key oldest = recent_.front();
  points_.erase(points_.lower_bound({oldest, 0}), points_.upper_bound({oldest, ~std::uint64_t{0}}));
  recent_.erase(recent_.begin());
}

std::size_t DeflatedReads::points() const {
  const std::lock_guard lock(mutex_);
  return points_.size();
}

std::size_t DeflatedReads::idle() const {
  const std::lock_guard lock(mutex_);
  return idle_.size();
}

}  // namespace mq::formats
