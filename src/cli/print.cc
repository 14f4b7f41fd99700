#include "cli/print.h"

#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/statusor.h"
#include "cli/exit_codes.h"

namespace clusterd {
namespace {

absl::Status write_all(int file, const std::string& what, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) return absl::CancelledError("");
    // INTERNAL, whatever it is: nothing that trying again would mend.
    if (count < 0) return absl::InternalError(what + ": " + strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> to_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) {
    return absl::InternalError("an answer cannot be shown as JSON: " + status.ToString());
  }
  return text;
}

absl::Status write_stdout(std::string_view bytes) {
  return write_all(STDOUT_FILENO, "standard output", bytes);
}

absl::Status write_stderr(std::string_view bytes) {
  return write_all(STDERR_FILENO, "standard error", bytes);
}

int finish(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (absl::IsCancelled(status) && status.message().empty()) return kExitPipeClosed;
  return report_error(status);
}

int print_text(const absl::StatusOr<std::string>& text) {
  return finish(text.ok() ? write_stdout(*text) : text.status());
}

}  // namespace clusterd
