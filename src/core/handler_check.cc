#include "core/handler_check.h"

#include <array>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

absl::Status check_name(const std::string& field, const std::string& name) {
  if (name.empty()) return invalid_field(field, "is empty");
  if (name.size() > kMaxHandlerNameBytes) {
    return invalid_field(field, absl::StrCat("has ", name.size(), " bytes, at most ",
                                             kMaxHandlerNameBytes, " are allowed"));
  }
  if (name.find('\0') != std::string::npos) return invalid_field(field, "contains a NUL byte");
  return absl::OkStatus();
}

}  // namespace

absl::Status check_handler_job(const v1::JobSpec& spec) {
  if (spec.handler().empty()) return absl::OkStatus();
  if (auto status = check_name("handler", spec.handler()); !status.ok()) return status;
  const std::array<std::pair<const char*, bool>, 4> others = {{
      {"path", !spec.path().empty()},
      {"command", !spec.command().empty()},
      {"script", spec.has_script()},
      {"payload", !spec.payload().empty()},
  }};
  for (const auto& [field, is_set] : others) {
    if (is_set) {
      return invalid_field("handler",
                           absl::StrCat("is set, and so is ", field, ": only one of them can be"));
    }
  }
  const std::array<std::pair<const char*, bool>, 9> of_processes = {{
      {"cwd", !spec.cwd().empty()},
      {"stdin_file", !spec.stdin_file().empty()},
      {"stop_signal", !spec.stop_signal().empty()},
      {"umask", !spec.umask().empty()},
      {"run_as", !spec.run_as().empty()},
      {"limits", spec.has_limits()},
      {"keep_scratch", spec.keep_scratch()},
      {"output.mode", spec.output().mode() == v1::OutputSpec::SEPARATE},
      {"output.archive_command", !spec.output().archive_command().empty()},
  }};
  for (const auto& [field, is_set] : of_processes) {
    if (is_set) {
      return invalid_field(field, "is for processes, and a handler has none of its own");
    }
  }
  return absl::OkStatus();
}

absl::Status check_handlers(const google::protobuf::RepeatedPtrField<v1::Handler>& handlers) {
  if (handlers.size() > kMaxHandlers) {
    return invalid_field("handlers",
                         absl::StrCat(handlers.size(), ", at most ", kMaxHandlers, " are allowed"));
  }
  std::set<std::string> names;
  for (int i = 0; i < handlers.size(); ++i) {
    const std::string field = absl::StrCat("handlers[", i, "].name");
    if (auto status = check_name(field, handlers[i].name()); !status.ok()) return status;
    if (!names.insert(handlers[i].name()).second) {
      return invalid_field(field, "\"" + handlers[i].name() + "\" is there twice");
    }
  }
  return absl::OkStatus();
}

}  // namespace clusterd
