// From a listing of a pickle to what it would do: names and calls with their verdicts.
#pragma once

#include "formats/pickle_listing.hpp"
#include "mq/audit.hpp"

namespace mq::formats::audit {

// The globals and calls of a listing; bytes are those that it was made of.
// Every value is looked at once, however often it is shared.
AuditedPickle judge(const pickle::Listing& listing, std::span<const std::byte> bytes);

}  // namespace mq::formats::audit
