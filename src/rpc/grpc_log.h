#pragma once

#include <string>

namespace clusterd {

// Sends what gRPC itself reports, such as handshakes that fail, to our log as warnings of
// `component`. Once in a process, before the first server or channel.
void log_what_grpc_reports(const std::string& component);

}  // namespace clusterd
