// The events of a conversion that are not of one tensor; events.hpp lists their members.
#pragma once

#include "tools/mq-convert/conversion.hpp"
#include "tools/mq-convert/events.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

json::Value start_event(const Options& options);
json::Value plan_event(const Conversion& conversion);
// Warnings about tensors, then "done".
void log_result(EventLog& log, const Result& result);

}  // namespace mq::tool
