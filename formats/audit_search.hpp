// The search for pickles in one file: what its containers share.
//
// Containers inside containers wait in a list instead of being entered, so nothing recurses; the bytes that are
// followed are counted over the whole search, so that ranges which a hostile directory lists many times cost little.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/io/file.hpp"
#include "formats/pickle_listing.hpp"
#include "mq/audit.hpp"

namespace mq::formats::audit {

// A range of the file that is searched.
struct Part {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::string where = {};
  int depth = 0;  // containers around it

  bool operator==(const Part&) const = default;
};

// What is known about a range before it is looked at.
enum class Expect : std::uint8_t {
  Pickle,    // a reader would unpickle it
  Anything,  // it counts as a pickle only if it comes to an end, or names something on the way
};

class Search {
 public:
  // Both are borrowed.
  Search(const io::File& file, std::string file_name, const Limits& limits, AuditReport& report)
      : file_(file), file_name_(std::move(file_name)), limits_(limits), report_(report) {}

  // Everything there is in the file. False if it is of no kind that is known.
  bool run();

  const io::File& file() const noexcept { return file_; }
  const Limits& limits() const noexcept { return limits_; }

  void add(Verdict verdict, const std::string& where, std::optional<std::uint64_t> offset, std::string message);
  // An error of a reader as a finding. Lets Io errors through.
  void add(const std::string& where, const Error& error);
  std::string name_in(const std::string& where, std::string_view name) const;

  // Looks at a part later, as far as containers may be nested.
  void later(Part part);

  // All pickles of a part, one after the other. False if it does not begin with one.
  bool stream(const Part& part, Expect expect);
  // The first pickle of a part, as the headers of old tar archives need it; nothing if it does not come to an end.
  struct Literal {
    std::uint64_t size_bytes = 0;
    std::optional<std::int64_t> number = {};  // if it is one
    std::string class_name = {};              // of the last element of a tuple, if that is a class
  };
  std::optional<Literal> literal(const Part& part);
  // The pickles in bytes that are no range of the file.
  void text(const std::string& where, std::string_view bytes);

 private:
  class Window;

  bool look(const Part& part);
  bool look_at_npy(const Part& part);
  bool has_zip_behind();
  bool spend(std::uint64_t bytes, const std::string& where);
  std::optional<pickle::Listing> next(Window& window, std::uint64_t position, const std::string& where);
  void keep(const pickle::Listing& listing, AuditedPickle judged, const std::string& where,
            std::optional<std::uint64_t> offset);
  bool goes_on(const Part& part, std::uint64_t position, bool is_pickle, bool is_second);

  const io::File& file_;
  std::string file_name_;
  const Limits& limits_;
  AuditReport& report_;
  std::vector<Part> pending_;
  std::uint64_t spent_ = 0;
};

// Finds the pickles of a container. Each adds its findings and the parts to look at.
void look_at_zip(Search& search, const Part& part);
void look_at_tar(Search& search, const Part& part);

}  // namespace mq::formats::audit
