// What a file would do if Python loaded it: every name and every call of every pickle in it. Nothing is executed,
// imported or written to find out; the pickles are followed as data.
//
// Verdicts rest on lists of what is known to be harmless. Of Python's own library, whatever is not on the list of plain
// values (dates, paths, containers, ...) counts as dangerous. Other packages cannot be judged from their names: they
// are inert, with the exception of a short list of functions that are known to run code. That list is a courtesy to
// whoever opens the file elsewhere; the safety of this library does not rest on it, because it never calls anything.
//
// Plain values, without state or threads. Names are as the file spells them: show them through printable().
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mq/limits.hpp"

namespace mq {

// Ordered from harmless to harmful.
enum class Verdict : std::uint8_t {
  Known,      // a tensor, a container or another plain value that this library interprets
  Inert,      // data for this library, but Python would import and run the package that it names
  Corrupt,    // findings only: the file contradicts itself or ends early, so others may see something else in it
  Dangerous,  // Python would run what has no place in a checkpoint
};
const char* to_string(Verdict verdict) noexcept;  // "known", "inert", "corrupt", "dangerous"

enum class CallKind : std::uint8_t {
  Reduce,
  NewObj,
  NewObjEx,
  Inst,
  Obj,
  Build,         // state for an object of a foreign class, whose own code takes it; or for what is no object
  Change,        // items put into something that is no container
  Extension,     // a number under which the loading program has registered a class or function
  PersistentId,  // of a form that is no PyTorch storage: the loading program decides what it means
};
const char* to_string(CallKind kind) noexcept;  // the opcode: "REDUCE", ...

// A class or function that a pickle names. Names that a pickle only mentions are imported too, and a value may reach
// code that calls it: they have the verdict that a call of them would have, except for names of Python's library that
// are types or arithmetic.
struct AuditedGlobal {
  std::string module = {};  // "(computed)" and "(copyreg extension)" stand for what has no name in the file
  std::string name = {};
  std::uint64_t offset = 0;   // in the pickle, of the first mention
  std::int64_t mentions = 0;  // opcodes that spell the name
  std::int64_t calls = 0;     // entries of AuditedPickle::calls
  bool rebuilds_tensor = false;
  Verdict verdict = Verdict::Inert;  // of the name by itself; a call of it may be worse, by its arguments
  std::string reason = {};

  bool operator==(const AuditedGlobal&) const = default;
};

// What a pickle would have done, in its order.
struct AuditedCall {
  std::size_t global = 0;  // index in AuditedPickle::globals
  CallKind kind = CallKind::Reduce;
  std::uint64_t offset = 0;  // in the pickle, of the opcode
  Verdict verdict = Verdict::Inert;
  std::string reason = {};  // empty if it is that of the global

  bool operator==(const AuditedCall&) const = default;
};

struct AuditedPickle {
  std::string where = {};                    // "model/data.pkl"; empty if the file begins with it
  std::optional<std::uint64_t> offset = {};  // in the file; empty inside a compressed record
  std::uint64_t size_bytes = 0;              // up to STOP, or to where it could not be followed any further
  std::vector<AuditedGlobal> globals = {};   // in the order of their first mention
  std::vector<AuditedCall> calls = {};       // in the order of their opcodes

  bool operator==(const AuditedPickle&) const = default;
};

// Everything else that is worth knowing. Known: a fact without consequences.
struct AuditFinding {
  Verdict verdict = Verdict::Known;
  std::string where = {};  // as in AuditedPickle
  std::optional<std::uint64_t> offset = {};
  std::string message = {};

  bool operator==(const AuditFinding&) const = default;
};

struct AuditReport {
  std::filesystem::path path = {};
  std::int64_t files = 0;  // that were looked at: several in a folder
  std::vector<AuditedPickle> pickles = {};
  std::vector<AuditFinding> findings = {};

  // The worst of all globals, calls and findings. Known for a file without any pickle. Corrupt says that not everything
  // could be followed: the absence of danger is not proved.
  Verdict verdict() const;

  bool operator==(const AuditReport&) const = default;
};

// Audits a file of any container that PyTorch, NumPy or pickle itself writes, a bare pickle, or a folder with all files
// below it. What is wrong with the file is a finding, not an error, as long as something can be read.
// Throws: Io; Unsupported, naming what it is, for a file that is of no kind that could be searched for pickles.
AuditReport audit(const std::filesystem::path& path, const Limits& limits = {});

}  // namespace mq
