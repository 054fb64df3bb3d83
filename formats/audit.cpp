// Audits of files and folders.
#include "mq/audit.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "formats/audit_search.hpp"
#include "formats/hf_model.hpp"
#include "formats/limits.hpp"
#include "formats/registry.hpp"
#include "formats/sniff.hpp"
#include "mq/error.hpp"

namespace mq {
namespace formats::audit {
namespace {

namespace fs = std::filesystem;

// Formats whose readers check more of the structure than the search for pickles does.
constexpr std::array<const Format*, 3> kStructured{&kZip, &kTorchLegacy, &kTorchTar};

// What the reader of the format objects to, where the search has found nothing.
void compare_with_reader(const fs::path& path, const std::string& where, const Limits& limits, AuditReport& report) {
  try {
    for (const Format* format : kStructured) {
      if (!format->matches(path)) continue;
      format->open(path, {.limits = limits});
      return;
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Io) throw;
    if (error.code() != ErrorCode::Corrupt) return;  // not a checkpoint, or one of a kind that is not read
    report.findings.push_back({Verdict::Corrupt, where, error.details().offset,
                               "the reader of this format refuses it: " + error.details().message});
  }
}

// Returns whether the file is of a kind that is known.
bool audit_file(const fs::path& path, const std::string& where, const Limits& limits, AuditReport& report) {
  const io::File file = io::File::open(path);
  AuditReport found;
  if (!Search(file, where, limits, found).run()) return false;
  if (found.verdict() < Verdict::Corrupt) compare_with_reader(path, where, limits, found);
  ++report.files;
  std::ranges::move(found.pickles, std::back_inserter(report.pickles));
  std::ranges::move(found.findings, std::back_inserter(report.findings));
  return true;
}

// Files below a folder, by their names in it, sorted. Links to folders are not followed.
std::vector<std::string> files_below(const fs::path& folder, const Limits& limits) {
  std::vector<std::string> names;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    std::error_code dangling;
    if (!entry->is_regular_file(dangling)) continue;
    if (entry.depth() > kMaxFolderDepth || names.size() >= limits.entries) {
      refuse_limit(limits, &Limits::entries, {.message = "files of a folder", .file = folder.string()});
    }
    names.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  if (error) io::throw_io(folder, "list", error.value());
  std::ranges::sort(names);
  return names;
}

void audit_files(const fs::path& folder, const std::vector<std::string>& names, const Limits& limits,
                 AuditReport& report) {
  for (const std::string& name : names) {
    if (name.ends_with(".py")) {
      report.findings.push_back(
          {Verdict::Inert, name, std::nullopt, "code, which runs if the model is loaded with trust in remote code"});
    } else if (!audit_file(folder / name, name, limits, report)) {
      ++report.files;
    }
  }
}

}  // namespace
}  // namespace formats::audit

const char* to_string(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Known:
      return "known";
    case Verdict::Inert:
      return "inert";
    case Verdict::Corrupt:
      return "corrupt";
    case Verdict::Dangerous:
      break;
  }
  return "dangerous";
}

const char* to_string(CallKind kind) noexcept {
  constexpr std::array<const char*, 9> kNames{"REDUCE", "NEWOBJ",  "NEWOBJ_EX", "INST",  "OBJ",
                                              "BUILD",  "SETITEM", "EXT",       "PERSID"};
  return kNames[static_cast<std::size_t>(kind)];
}

Verdict AuditReport::verdict() const {
  Verdict worst = Verdict::Known;
  for (const AuditedPickle& pickle : pickles) {
    for (const AuditedGlobal& global : pickle.globals) worst = std::max(worst, global.verdict);
    for (const AuditedCall& call : pickle.calls) worst = std::max(worst, call.verdict);
  }
  for (const AuditFinding& finding : findings) worst = std::max(worst, finding.verdict);
  return worst;
}

AuditReport audit(const std::filesystem::path& path, const Limits& limits) {
  using namespace formats;
  require_exists(path);
  AuditReport report{.path = path};
  if (io::is_folder(path)) {
    formats::audit::audit_files(path, formats::audit::files_below(path, limits), limits, report);
  } else if (hf_kind(path) != HfKind::None) {
    const HfModel model = find_hf_model(path, limits);
    report.files = 1;
    formats::audit::audit_files(model.folder, model.shards, limits, report);
  } else if (!formats::audit::audit_file(path, {}, limits, report)) {
    throw_unrecognised(path);
  }
  return report;
}

}  // namespace mq
