// Ranges of activations: what static scales of activations are made from. Calibration finds them, with observers
// (mq/observer.hpp) or another program; a file of them goes into a plan.
//
// Layout of the file, a checkpoint of any container: two float tensors of one element for each module
//   MODULE.input_min     the smallest and
//   MODULE.input_max     the largest value of what the module takes in
// where MODULE is the name of its weight without ".weight".
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "mq/checkpoint.hpp"
#include "mq/observer.hpp"
#include "mq/plan.hpp"

namespace mq {

// By the name of the module or of its weight: both mean the same layer.
using InputRanges = std::map<std::string, Range>;

// Reads the ranges of a file into Analysis::inputs. Other tensors are left alone.
// Throws: Usage for tensors that are not one float, ranges that are not finite or upside down, a minimum without its
// maximum, and a file without any; Corrupt, Io.
void add_input_ranges(Analysis& analysis, const Checkpoint& statistics);

// Writes such a file, as safetensors.
// Throws: Usage for ranges that are not finite or upside down, and for a module that is there under both names; Io.
void save_input_ranges(const std::filesystem::path& path, const InputRanges& ranges, bool overwrite = false);

}  // namespace mq
