#include "rpc/grpc_log.h"

#include <grpc/support/log.h>

#include <string_view>

#include "core/log.h"

namespace clusterd {
namespace {

// The process's one log function has no argument for this.
std::string& component_of_process() {
  static std::string& name = *new std::string("grpc");
  return name;
}

// Said at every handshake of a client that names its server by an IP address.
constexpr std::string_view kNoise = "No match found for server name";

void report(gpr_log_func_args* arguments) {
  const std::string_view message = arguments->message;
  if (arguments->severity < GPR_LOG_SEVERITY_ERROR || message.starts_with(kNoise)) return;
  log_warning(component_of_process(), "gRPC", {{"reason", message}});
}

}  // namespace

void log_what_grpc_reports(const std::string& component) {
  component_of_process() = component;
  gpr_set_log_function(report);
}

}  // namespace clusterd
