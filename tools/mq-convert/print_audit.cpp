#include <algorithm>
#include <map>

#include "mq/error.hpp"
#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {
namespace {

constexpr std::size_t kNamesInSummary = 3;
constexpr std::size_t kNameBytes = 80;  // of a name in a table

std::string name_of(const AuditedGlobal& global) {
  return printable(global.module, kNameBytes) + "." + printable(global.name, kNameBytes);
}

std::string place(const std::string& where, std::optional<std::uint64_t> offset) {
  std::string text = printable(where);
  if (offset) text += (text.empty() ? "@" : " @") + std::to_string(*offset);
  return text;
}

// One name, wherever it stands in the file.
struct NameRow {
  const AuditedGlobal* global = nullptr;
  const AuditedPickle* pickle = nullptr;
  Verdict verdict = Verdict::Known;  // the worst of the name and its calls
  std::string reason = {};           // of that
  std::int64_t mentions = 0;
  std::int64_t calls = 0;
  std::int64_t dangerous_calls = 0;
};

void add_call(std::vector<NameRow*>& rows, const AuditedCall& call) {
  NameRow& row = *rows[call.global];
  if (call.verdict == Verdict::Dangerous) ++row.dangerous_calls;
  if (call.verdict <= row.verdict) return;
  row.verdict = call.verdict;
  if (!call.reason.empty()) row.reason = call.reason;
}

// Worst first, then in the order of the file.
std::vector<NameRow> rows_of(const AuditReport& report) {
  std::vector<NameRow> rows;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> known;
  for (const AuditedPickle& pickle : report.pickles) {
    std::vector<std::size_t> here;
    for (const AuditedGlobal& global : pickle.globals) {
      const auto [found, is_new] = known.try_emplace({global.module, global.name}, rows.size());
      if (is_new)
        rows.push_back({.global = &global, .pickle = &pickle, .verdict = global.verdict, .reason = global.reason});
      NameRow& row = rows[found->second];
      row.mentions += global.mentions;
      row.calls += global.calls;
      here.push_back(found->second);
    }
    std::vector<NameRow*> pointers;
    for (const std::size_t i : here) pointers.push_back(&rows[i]);
    for (const AuditedCall& call : pickle.calls) add_call(pointers, call);
  }
  std::ranges::stable_sort(rows, std::ranges::greater(), &NameRow::verdict);
  return rows;
}

std::string join_some(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < std::min(parts.size(), kNamesInSummary); ++i) text += (i == 0 ? "" : ", ") + parts[i];
  if (parts.size() > kNamesInSummary) text += " and " + std::to_string(parts.size() - kNamesInSummary) + " more";
  return text;
}

std::string danger(const AuditReport& report, const std::vector<NameRow>& rows) {
  std::vector<std::string> parts;
  for (const NameRow& row : rows) {
    if (row.verdict != Verdict::Dangerous) continue;
    parts.push_back((row.dangerous_calls > 0 ? plural(row.dangerous_calls, "call") + " of " : "mentions ") +
                    name_of(*row.global));
  }
  for (const AuditFinding& finding : report.findings) {
    if (finding.verdict == Verdict::Dangerous) parts.push_back(printable(finding.message));
  }
  return "dangerous: " + join_some(parts);
}

std::string harmless(const AuditReport& report, const std::vector<NameRow>& rows) {
  const bool code = std::ranges::any_of(report.findings, [](const auto& f) { return f.verdict == Verdict::Inert; });
  if (report.pickles.empty()) return code ? "holds no pickle, but see below" : "holds no pickle: nothing in it can run";
  std::int64_t rebuilds = 0, foreign = 0;
  for (const NameRow& row : rows) {
    if (row.global->rebuilds_tensor) rebuilds += row.calls;
    if (row.verdict == Verdict::Inert) ++foreign;
  }
  std::vector<std::string> parts;
  if (rebuilds > 0) parts.push_back(plural(rebuilds, "tensor rebuild call"));
  if (foreign > 0) parts.push_back(plural(foreign, "foreign name") + " kept as data");
  if (parts.empty()) parts.emplace_back("plain values only");
  return (code ? "nothing dangerous, but see below: " : "no code of its own: ") + join_some(parts);
}

std::string summary(const AuditReport& report, const std::vector<NameRow>& rows) {
  const Verdict verdict = report.verdict();
  if (verdict == Verdict::Dangerous) return danger(report, rows);
  if (verdict != Verdict::Corrupt) return harmless(report, rows);
  const auto corrupt = std::ranges::find(report.findings, Verdict::Corrupt, &AuditFinding::verdict);
  return "damaged, so that others may see more in it: " + printable(corrupt->message);
}

std::string remaining(std::size_t shown, std::size_t all, std::string_view noun) {
  if (shown >= all) return {};
  return "... and " + plural(static_cast<std::int64_t>(all - shown), noun) + " more: --verbose shows all\n";
}

std::string names_table(const std::vector<NameRow>& rows, const Style& style) {
  if (rows.empty()) return {};
  Table table({{"verdict"}, {"name"}, {"mentions", true}, {"calls", true}, {"first at"}, {"why"}});
  const std::size_t shown = style.verbose ? rows.size() : std::min(rows.size(), kLongTable);
  for (std::size_t i = 0; i < shown; ++i) {
    const NameRow& row = rows[i];
    table.add({to_string(row.verdict), name_of(*row.global), human_count(row.mentions), human_count(row.calls),
               place(row.pickle->where, row.global->offset), printable(row.reason)});
  }
  return '\n' + table.text() + remaining(shown, rows.size(), "name");
}

// Those that are dangerous, or all.
std::string calls_table(const AuditReport& report, const Style& style) {
  Table table({{"verdict"}, {"opcode"}, {"of"}, {"at"}, {"why"}});
  std::size_t shown = 0, all = 0;
  for (const AuditedPickle& pickle : report.pickles) {
    for (const AuditedCall& call : pickle.calls) {
      if (!style.verbose && call.verdict != Verdict::Dangerous) continue;
      if (++all > kLongTable && !style.verbose) continue;
      const AuditedGlobal& global = pickle.globals[call.global];
      table.add({to_string(call.verdict), to_string(call.kind), name_of(global), place(pickle.where, call.offset),
                 printable(call.reason.empty() ? global.reason : call.reason)});
      ++shown;
    }
  }
  return all == 0 ? std::string() : '\n' + table.text() + remaining(shown, all, "call");
}

std::string findings_text(const AuditReport& report, const Style& style) {
  std::vector<const AuditFinding*> order;
  for (const AuditFinding& finding : report.findings) order.push_back(&finding);
  std::ranges::stable_sort(order, std::ranges::greater(), &AuditFinding::verdict);
  const std::size_t shown = style.verbose ? order.size() : std::min(order.size(), kLongTable);
  std::string text = order.empty() ? "" : "\n";
  for (std::size_t i = 0; i < shown; ++i) {
    const AuditFinding& finding = *order[i];
    const std::string at = place(finding.where, finding.offset);
    text += finding.verdict == Verdict::Known ? "note" : to_string(finding.verdict);
    text += ": " + at + (at.empty() ? "" : ": ") + printable(finding.message, 1000) + '\n';
  }
  return text + remaining(shown, order.size(), "finding");
}

json::Value pickle_json(const AuditedPickle& pickle) {
  json::Array globals;
  for (const AuditedGlobal& global : pickle.globals) {
    json::Value value;
    value.set("module", global.module);
    value.set("name", global.name);
    value.set("verdict", to_string(global.verdict));
    value.set("reason", global.reason);
    value.set("offset", global.offset);
    value.set("mentions", global.mentions);
    value.set("calls", global.calls);
    globals.push_back(std::move(value));
  }
  json::Array calls;
  for (const AuditedCall& call : pickle.calls) {
    const AuditedGlobal& global = pickle.globals[call.global];
    json::Value value;
    value.set("opcode", to_string(call.kind));
    value.set("global", static_cast<std::int64_t>(call.global));
    value.set("offset", call.offset);
    value.set("verdict", to_string(call.verdict));
    value.set("reason", call.reason.empty() ? global.reason : call.reason);
    calls.push_back(std::move(value));
  }
  json::Value value;
  value.set("where", pickle.where);
  value.set("offset", pickle.offset ? json::Value(*pickle.offset) : json::Value());
  value.set("bytes", pickle.size_bytes);
  value.set("globals", std::move(globals));
  value.set("calls", std::move(calls));
  return value;
}

}  // namespace

std::string summary(const AuditReport& report) {
  return summary(report, rows_of(report));
}

std::string to_text(const AuditReport& report, const Style& style) {
  const std::vector<NameRow> rows = rows_of(report);
  std::string text = summary(report, rows) + '\n';
  std::uint64_t bytes = 0;
  for (const AuditedPickle& pickle : report.pickles) bytes += pickle.size_bytes;
  if (!report.pickles.empty()) {
    text += plural(static_cast<std::int64_t>(report.pickles.size()), "pickle") + " of " +
            human_bytes(static_cast<std::int64_t>(bytes)) + " followed, nothing of it run\n";
  }
  return text + names_table(rows, style) + calls_table(report, style) + findings_text(report, style);
}

json::Value to_json(const AuditReport& report) {
  json::Array pickles;
  for (const AuditedPickle& pickle : report.pickles) pickles.push_back(pickle_json(pickle));
  json::Array findings;
  for (const AuditFinding& finding : report.findings) {
    json::Value value;
    value.set("verdict", to_string(finding.verdict));
    value.set("where", finding.where);
    value.set("offset", finding.offset ? json::Value(*finding.offset) : json::Value());
    value.set("message", finding.message);
    findings.push_back(std::move(value));
  }
  json::Value value;
  value.set("verdict", to_string(report.verdict()));
  value.set("summary", summary(report));
  value.set("files", report.files);
  value.set("pickles", std::move(pickles));
  value.set("findings", std::move(findings));
  return value;
}

}  // namespace mq::tool
