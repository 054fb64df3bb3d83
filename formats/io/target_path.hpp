// Names that an output takes, and the moves between them: each of them one system call where the file system has it, so
// that a name leads to the old content or to the new one, never to nothing.
#pragma once

#include <filesystem>
#include <span>

namespace mq::io {

// Where an output really goes: links at the end followed (also to what does not exist yet), no slash at the end.
// Throws: Io if its folder does not exist, or the path has no name that an output could take.
std::filesystem::path resolve_target(const std::filesystem::path& target);

std::filesystem::path folder_of(const std::filesystem::path& target);

// A name beside target that nothing has: hidden, random, short enough whatever the length of target's.
// Throws: Io if there is no randomness.
std::filesystem::path random_sibling(const std::filesystem::path& target);

// Throws: Io unless target is absent, or is of the wanted type and may be replaced: with `overwrite`, or because it is
// an empty directory.
void require_replaceable(const std::filesystem::path& target, bool overwrite, std::filesystem::file_type wanted);

// Throws: Usage if target is one of the inputs under any name, or a directory that holds one.
void require_not_input(const std::filesystem::path& target, std::span<const std::filesystem::path> inputs);

// False if something has the name `to` already. Throws: Io.
bool rename_to_free_name(const std::filesystem::path& from, const std::filesystem::path& to);

// Puts `from` in the place of `to`, which exists; what was there is then called by the name returned. Throws: Io.
std::filesystem::path exchange(const std::filesystem::path& from, const std::filesystem::path& to);

// Throws: Io.
void rename_over(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace mq::io
