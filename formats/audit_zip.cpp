// Zip archives: every record that is a pickle or holds some, whether PyTorch would look at it or not.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "formats/audit_search.hpp"
#include "formats/io/byte_reader.hpp"
#include "formats/io/checked.hpp"
#include "formats/zip.hpp"
#include "formats/zip_directory.hpp"
#include "mq/error.hpp"

namespace mq::formats::audit {
namespace {

constexpr std::string_view kLocalSignature{"PK\3\4", 4};
constexpr std::uint32_t kLocalHeader = 0x04034b50;  // the same as a number
constexpr std::size_t kLocalBytes = 30;
constexpr std::uint64_t kMaxSpareBytes = 24;  // a data descriptor

// Pickles by their name: what is not recognised by content must not be passed over.
constexpr std::array<std::string_view, 9> kPickleSuffixes{".pkl", ".pickle", ".pck", ".joblib", ".dill",
                                                          ".pt",  ".pth",    ".bin", ".npy"};
constexpr std::array<std::string_view, 9> kCodeSuffixes{".py",    ".pyc", ".pyd", ".so", ".dll",
                                                        ".dylib", ".sh",  ".exe", ".bat"};

bool ends_with_any(std::string_view name, std::span<const std::string_view> suffixes) {
  return std::ranges::any_of(suffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
}

// Records of one kind, which are reported together: there may be a million of them.
struct Group {
  std::uint64_t count = 0;
  std::string first = {};

  void add(const std::string& name) {
    if (count++ == 0) first = name;
  }
  std::string text(std::string_view what) const {
    return std::to_string(count) + (count == 1 ? " record " : " records ") + std::string(what) + ": " +
           printable(first) + (count == 1 ? "" : ", ...");
  }
};

class ZipSearch {
 public:
  ZipSearch(Search& search, const Part& part)
      : search_(search), part_(part), file_(search.file().part(part.offset, part.size_bytes, part.where)) {}

  void run() {
    try {
      const ZipArchive archive(search_.file().part(part_.offset, part_.size_bytes, part_.where), search_.limits());
      archive_ = &archive;
      records_.assign(archive.records().begin(), archive.records().end());
      look_at_records();
      find_gaps();
      archive_ = nullptr;
    } catch (const Error& error) {
      if (archive_ != nullptr) throw;
      search_.add(part_.where, error);
      recover();
      look_at_records();
    }
    report();
  }

 private:
  // What can be found of an archive that contradicts itself: each entry of the directory, and each local header.
  void recover() {
    std::unordered_set<std::uint64_t> seen;
    try {
      const zip::DirectoryRange range = zip::find_directory(file_);
      for (zip::Entry& entry : zip::read_directory(file_, range, search_.limits())) {
        add_local(entry.record.header_offset, entry.record.name, entry.record.method);
        seen.insert(entry.record.header_offset);
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Io) throw;
    }
    const std::uint64_t searched = std::min(file_.size(), search_.limits().header_bytes);
    std::string bytes(static_cast<std::size_t>(searched), '\0');
    file_.read(0, std::as_writable_bytes(std::span(bytes)));
    for (std::size_t at = bytes.find(kLocalSignature); at != std::string::npos;
         at = bytes.find(kLocalSignature, at + 1)) {
      if (!seen.contains(at)) add_local(at, {}, std::nullopt);
    }
    if (searched < file_.size()) {
      search_.add(Verdict::Corrupt, part_.where, searched,
                  "only the beginning of the damaged archive is searched (--max-header-bytes)");
    }
  }

  // A record by its local header; the directory's name and method come first, as for PyTorch.
  void add_local(std::uint64_t offset, std::string name, std::optional<ZipRecord::Method> method) {
    if (!io::range_fits(offset, kLocalBytes, file_.size()) || records_.size() >= search_.limits().entries) return;
    std::array<std::byte, kLocalBytes> bytes{};
    file_.read(offset, bytes);
    io::ByteReader reader(bytes, part_.where, offset);
    if (reader.u32() != kLocalHeader) return;
    reader.skip(4);
    const std::uint16_t code = reader.u16();
    reader.skip(8);
    const std::uint32_t stored_bytes = reader.u32();
    reader.skip(4);
    const std::uint16_t name_bytes = reader.u16();
    const std::uint16_t extra_bytes = reader.u16();
    const std::uint64_t data = offset + kLocalBytes + name_bytes + extra_bytes;
    if (data > file_.size()) return;
    if (name.empty()) {
      name.resize(name_bytes);
      file_.read(offset + kLocalBytes, std::as_writable_bytes(std::span(name)));
    }
    // Without a size in the header the record may go on to the end of the file; pickles say themselves where they end.
    const std::uint64_t left = file_.size() - data;
    const std::uint64_t size = stored_bytes == 0 || stored_bytes > left ? left : stored_bytes;
    const auto local_method = code == 0 ? ZipRecord::Method::Stored : ZipRecord::Method::Deflated;
    records_.push_back({.name = std::move(name),
                        .method = method.value_or(local_method),
                        .header_offset = offset,
                        .data_offset = data,
                        .stored_bytes = size,
                        .size_bytes = size});
  }

  void look_at_records() {
    if (records_.empty()) return;
    const std::string& first = records_.front().name;
    root_ = first.substr(0, first.find('/') + 1);
    const auto holds = [&](std::string_view name) {
      return std::ranges::any_of(records_, [&](const ZipRecord& r) { return r.name == root_ + std::string(name); });
    };
    is_script_ = holds("constants.pkl");
    is_torch_ = is_script_ || holds("data.pkl") || holds("archive_format");
    for (const ZipRecord& record : records_) look_at(record);
  }

  void look_at(const ZipRecord& record) {
    const bool inside = record.name.starts_with(root_);
    const std::string_view name = inside ? std::string_view(record.name).substr(root_.size()) : record.name;
    const bool compressed = record.method != ZipRecord::Method::Stored;
    if (compressed) compressed_.add(record.name);
    if (is_torch_ && !inside) outside_.add(record.name);
    if (is_script_ && name.starts_with("code/")) {
      script_code_.add(record.name);
      return;
    }
    if (ends_with_any(name, kCodeSuffixes)) code_.add(record.name);
    const bool by_name = ends_with_any(name, kPickleSuffixes);
    const bool loaded = inside && (name == "data.pkl" || (is_script_ && name == "constants.pkl"));
    if (is_torch_ && by_name && !loaded && name.ends_with(".pkl")) beside_.add(record.name);
    if (record.stored_bytes == 0) return;
    if (compressed) {
      if (by_name) look_at_compressed(record);
      return;
    }
    const Part content{part_.offset + record.data_offset, record.stored_bytes,
                       search_.name_in(part_.where, record.name), part_.depth + 1};
    if (loaded || name.ends_with(".pkl")) {
      search_.stream(content, Expect::Pickle);
    } else if (by_name || may_be_container(record)) {
      search_.later(content);
    }
  }

  // Whether the first bytes are worth a closer look.
  bool may_be_container(const ZipRecord& record) const {
    std::array<char, 6> first{};
    if (record.stored_bytes < 2) return false;
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(first.size(), record.stored_bytes));
    file_.read(record.data_offset, std::as_writable_bytes(std::span(first).first(size)));
    const std::string_view text(first.data(), size);
    return text.starts_with("PK\3\4") || text.starts_with("\x93NUMPY") || (text[0] == '\x80' && text[1] <= 5) ||
           text[0] == 'c' || text[0] == '(';
  }

  void look_at_compressed(const ZipRecord& record) {
    const std::string where = search_.name_in(part_.where, record.name);
    if (archive_ == nullptr) {
      return search_.add(Verdict::Corrupt, where, record.header_offset, "a compressed record of a damaged archive");
    }
    try {
      search_.text(where, archive_->read_text(record, search_.limits().header_bytes));
    } catch (const Error& error) {
      search_.add(where, error);
    }
  }

  // Bytes between the records: no reader sees them.
  void find_gaps() {
    std::vector<const ZipRecord*> order;
    for (const ZipRecord& record : records_) order.push_back(&record);
    std::ranges::sort(order, {}, &ZipRecord::header_offset);
    std::uint64_t end = 0;
    for (const ZipRecord* record : order) {
      if (record->header_offset - end > (end == 0 ? 0 : kMaxSpareBytes)) {
        gap_bytes_ += record->header_offset - end;
      }
      end = record->data_offset + record->stored_bytes;
    }
  }

  void report() {
    const auto add = [&](Verdict verdict, const Group& group, std::string_view what) {
      if (group.count > 0) search_.add(verdict, part_.where, std::nullopt, group.text(what));
    };
    add(Verdict::Inert, script_code_, "of TorchScript code, which torch.jit.load would run");
    add(Verdict::Inert, code_, "of code or programs, which torch.load does not look at");
    add(Verdict::Inert, outside_, "outside the folder " + printable(root_) + ", which PyTorch does not look at");
    add(Verdict::Inert, beside_, "that torch.load does not read although their names say pickle");
    add(Verdict::Known, compressed_, "compressed");
    if (gap_bytes_ > 0) {
      search_.add(Verdict::Inert, part_.where, std::nullopt,
                  std::to_string(gap_bytes_) + " bytes between the records, which no reader looks at");
    }
  }

  Search& search_;
  const Part& part_;
  io::File file_;
  const ZipArchive* archive_ = nullptr;  // while a whole one is looked at
  std::vector<ZipRecord> records_;
  std::string root_;
  bool is_script_ = false;
  bool is_torch_ = false;
  std::uint64_t gap_bytes_ = 0;
  Group compressed_, outside_, script_code_, code_, beside_;
};

}  // namespace

void look_at_zip(Search& search, const Part& part) {
  ZipSearch(search, part).run();
}

}  // namespace mq::formats::audit
