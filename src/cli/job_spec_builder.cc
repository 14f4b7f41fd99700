#include "cli/job_spec_builder.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "absl/strings/escaping.h"
#include "cli/limit_options.h"
#include "cli/output_spec_builder.h"
#include "cli/queue_spec_builder.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "core/sha256.h"
#include "core/units.h"
#include "core/utf8.h"
#include "gateway/strict_json.h"

namespace clusterd {
namespace {

absl::Status bad(std::string_view option, std::string_view what) {
  return absl::InvalidArgumentError(std::string(option) + ": " + std::string(what));
}

absl::StatusOr<std::string> read_some(std::string_view option, const std::string& path,
                                      std::istream& stream, size_t max_bytes) {
  std::string content;
  content.resize(max_bytes + 1);
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<size_t>(stream.gcount()));
  if (stream.bad()) return bad(option, "\"" + path + "\" cannot be read");
  if (content.size() > max_bytes) {
    return bad(option, "\"" + path + "\" has more than " + format_size(max_bytes));
  }
  return content;
}

absl::StatusOr<std::string> read_file(std::string_view option, const std::string& path,
                                      size_t max_bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::ErrnoToStatus(errno, std::string(option) + ": \"" + path + "\"");
  return read_some(option, path, file, max_bytes);
}

struct Pair {
  std::string key;
  std::string value;
};

absl::StatusOr<Pair> split_pair(std::string_view option, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return bad(option, "\"" + text + "\" is not of the form K=V");
  }
  if (!is_valid_utf8(text)) return bad(option, "\"" + text.substr(0, equals) + "\" is not UTF-8");
  return Pair{text.substr(0, equals), text.substr(equals + 1)};
}

absl::Status add_env_file(const std::string& path, v1::JobSpec& spec) {
  constexpr size_t kMaxBytes = 1 << 20;
  constexpr std::string_view kOption = "--env-file";
  auto content = read_file(kOption, path, kMaxBytes);
  if (!content.ok()) return content.status();
  size_t number = 0;
  for (size_t begin = 0; begin < content->size();) {
    const size_t end = std::min(content->find('\n', begin), content->size());
    const std::string line = content->substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    const auto pair = split_pair(kOption, line);
    if (!pair.ok()) {
      // The line itself may hold a secret, so it is named by its number alone.
      return bad(kOption, path + ":" + std::to_string(number) + ": is not of the form K=V");
    }
    (*spec.mutable_env())[pair->key] = pair->value;
  }
  return absl::OkStatus();
}

absl::Status add_env(const std::vector<std::string>& entries, const Environment& environment,
                     v1::JobSpec& spec) {
  for (const std::string& entry : entries) {
    std::string text = entry;
    if (text.find('=') == std::string::npos) {
      const auto value = environment(text.c_str());
      if (!value) return bad("--env", "\"" + text + "\" is not set here; give it as K=V");
      text += "=" + *value;
    }
    const auto pair = split_pair("--env", text);
    if (!pair.ok()) return pair.status();
    (*spec.mutable_env())[pair->key] = pair->value;
  }
  return absl::OkStatus();
}

absl::Status add_labels(const std::vector<std::string>& entries, v1::JobSpec& spec) {
  for (const std::string& entry : entries) {
    const auto pair = split_pair("--label", entry);
    if (!pair.ok()) return pair.status();
    (*spec.mutable_labels())[pair->key] = pair->value;
  }
  return absl::OkStatus();
}

absl::Status add_stdin(const std::string& path, v1::JobSpec& spec) {
  if (path.empty()) return absl::OkStatus();
  auto content = path == "-" ? read_some("--stdin", path, std::cin, kMaxStdinBytes)
                             : read_file("--stdin", path, kMaxStdinBytes);
  if (!content.ok()) return content.status();
  spec.set_stdin(*std::move(content));
  return absl::OkStatus();
}

// The file that the path names here; the job knows it by its last component.
absl::Status add_upload(const JobStartCommand& command, v1::JobSpec& spec) {
  if (!command.upload) return absl::OkStatus();
  auto content = read_file("PATH", command.target, kMaxScriptBytes);
  if (!content.ok()) return content.status();
  if (content->empty()) return bad("PATH", "\"" + command.target + "\" is empty");
  spec.mutable_script()->set_sha256(absl::BytesToHexString(sha256(*content)));
  spec.mutable_script()->set_content(*std::move(content));
  spec.set_path(std::filesystem::path(command.target).filename().string());
  return absl::OkStatus();
}

absl::Status add_times(const JobStartCommand& command, v1::JobSpec& spec) {
  if (!command.timeout.empty()) {
    const auto timeout = parse_duration_option("--timeout", command.timeout);
    if (!timeout.ok()) return timeout.status();
    *spec.mutable_timeout() = to_proto(*timeout);
  }
  if (!command.stop_grace.empty()) {
    const auto grace = parse_duration_option("--stop-grace", command.stop_grace);
    if (!grace.ok()) return grace.status();
    *spec.mutable_stop_grace() = to_proto(*grace);
  }
  return absl::OkStatus();
}

absl::Status check_texts(const JobStartCommand& command) {
  const auto check = [](std::string_view option, const std::string& text) {
    return is_valid_utf8(text) ? absl::OkStatus() : bad(option, "is not UTF-8");
  };
  absl::Status status = check(command.is_program   ? "--program"
                              : command.is_handler ? "--handler"
                                                   : "PATH",
                              command.target);
  status.Update(check("--name", command.name));
  status.Update(check("--worker", command.worker));
  status.Update(check("--command", command.command));
  status.Update(check("--cwd", command.cwd));
  status.Update(check("--stop-signal", command.stop_signal));
  status.Update(check("--stdin-file", command.stdin_file));
  status.Update(check("--umask", command.umask));
  status.Update(check("--run-as", command.run_as));
  for (const std::string& argument : command.args) status.Update(check("ARGS", argument));
  return status;
}

// The document of --from-json, or an empty one.
absl::StatusOr<v1::JobSpec> read_document(const JobStartCommand& command) {
  constexpr std::string_view kOption = "--from-json";
  constexpr size_t kMaxBytes = 4 << 20;
  v1::JobSpec spec;
  const std::string& path = command.from_json;
  if (path.empty()) return spec;
  if (path == "-" && command.stdin_path == "-") {
    return bad(kOption, "standard input cannot be the document and the job's input, too");
  }
  const auto content = path == "-" ? read_some(kOption, path, std::cin, kMaxBytes)
                                   : read_file(kOption, path, kMaxBytes);
  if (!content.ok()) return content.status();
  const absl::Status status = gateway::parse_strict_json(*content, spec);
  if (!status.ok()) return bad(kOption, path + ": " + std::string(status.message()));
  if (!command.target.empty()) {  // another command than the document's
    spec.clear_path();
    spec.clear_command();
    spec.clear_args();
    spec.clear_script();
    spec.clear_handler();
  }
  return spec;
}

// What `options` say goes before what stands in the document; lists and maps are added to.
void put_before(const v1::JobSpec& options, v1::JobSpec& document) {
  if (options.has_timeout()) document.clear_timeout();  // merged, times would be added up
  if (options.has_stop_grace()) document.clear_stop_grace();
  if (options.has_queue_timeout()) document.clear_queue_timeout();
  if (options.has_lost_after()) document.clear_lost_after();
  if (options.has_start_at()) document.clear_start_at();
  if (options.has_start_delay()) document.clear_start_delay();
  if (options.has_array()) document.clear_array();
  if (options.has_script()) document.clear_script();
  if (options.has_retry()) document.clear_retry();
  document.MergeFrom(options);
}

}  // namespace

absl::StatusOr<std::chrono::nanoseconds> parse_duration_option(std::string_view option,
                                                               std::string_view text) {
  auto duration = parse_duration(text);
  if (!duration.ok()) return bad(option, std::string(duration.status().message()));
  return duration;
}

absl::StatusOr<v1::JobSpec> build_job_spec(const JobStartCommand& command,
                                           const Environment& environment) {
  auto document = read_document(command);
  if (!document.ok()) return document;
  absl::Status status = check_texts(command);
  v1::JobSpec spec;
  if (status.ok() && !command.env_file.empty()) status = add_env_file(command.env_file, spec);
  if (status.ok()) status = add_env(command.env, environment, spec);
  if (status.ok()) status = add_labels(command.labels, spec);
  if (status.ok()) status = add_times(command, spec);
  if (status.ok()) status = add_stdin(command.stdin_path, spec);
  if (status.ok()) status = add_output(command.output, spec);
  if (status.ok()) status = add_queueing(command.queueing, spec);
  if (status.ok()) status = add_limits(command.limits, spec);
  if (!status.ok()) return status;
  spec.set_worker_id(command.worker);
  spec.set_name(command.name);
  spec.set_path(command.is_program || command.is_handler ? "" : command.target);
  if (command.is_handler) spec.set_handler(command.target);
  spec.set_command(command.is_program ? command.target : command.command);
  spec.mutable_args()->Assign(command.args.begin(), command.args.end());
  spec.set_cwd(command.cwd);
  spec.set_stop_signal(command.stop_signal);
  spec.set_stdin_file(command.stdin_file);
  spec.set_umask(command.umask);
  spec.set_run_as(command.run_as);
  spec.set_keep_scratch(command.keep_scratch);
  spec.set_priority(command.priority);
  status = add_upload(command, spec);
  if (!status.ok()) return status;
  put_before(spec, *document);
  return document;
}

}  // namespace clusterd
