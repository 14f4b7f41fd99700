#include "cli/dev_config.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/units.h"

namespace clusterd {
namespace {

namespace fs = std::filesystem;

std::string loopback(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

absl::Status check_port(uint16_t port, const std::string& what, const std::string& option) {
  if (port == 0) return absl::OkStatus();
  const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(socket_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int result = bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  const int cause = errno;
  close(socket_fd);
  if (result == 0) return absl::OkStatus();
  if (cause != EADDRINUSE) return absl::ErrnoToStatus(cause, loopback(port) + " (" + what + ")");
  return absl::FailedPreconditionError("port " + std::to_string(port) + " (" + what +
                                       ") is taken; choose another with " + option +
                                       " PORT (0: any free one)");
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const fs::path result = fs::absolute(path, error);
  return error ? path : result.string();
}

}  // namespace

std::string toml_quote(const std::string& text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7F) {
      quoted += {'\\', 'u', '0', '0', kHex[byte >> 4U], kHex[byte & 15U]};
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string dev_scheduler_config(const DevCommand& command, const std::string& folder) {
  return "[grpc_server]\naddr = " + toml_quote(loopback(command.grpc_port)) +
         "\nlocal_callers = \"same_user\"\n[http_server]\naddr = " +
         toml_quote(loopback(command.http_port)) +
         "\nlocal_callers = \"same_user\"\n[store]\npath = " + toml_quote(folder + "/clusterd.db") +
         "\n[log]\nlevel = " + toml_quote(command.log_level) + "\n";
}

std::string dev_worker_config(const DevCommand& command, const std::string& folder,
                              const std::string& runtime_dir, const std::string& scheduler_addr) {
  std::string programs;
  for (const std::string& program : command.allowed_programs) {
    programs += (programs.empty() ? "" : ", ") + toml_quote(program);
  }
  const std::string max_output =
      command.max_output_bytes == 0
          ? ""
          : "\nmax_output = " + toml_quote(format_size(command.max_output_bytes));
  return "[grpc_server]\naddr = " + toml_quote(loopback(command.worker_port)) +
         "\nlocal_callers = \"same_user\"\n[scheduler]\naddr = " + toml_quote(scheduler_addr) +
         "\n[worker]\non_stop = \"stop\"\n[capacity]\nslots = " + std::to_string(command.slots) +
         "\n[jobs]\nscripts_dir = " + toml_quote(absolute(command.scripts_dir)) +
         "\ndata_dir = " + toml_quote(folder + "/worker") +
         "\nruntime_dir = " + toml_quote(runtime_dir) +
         // As whoever started it, and on purpose: nothing to warn about.
         "\nrun_as = " + toml_quote(std::to_string(geteuid())) + "\nallowed_programs = [" +
         programs + "]" + max_output + "\n[log]\nlevel = " + toml_quote(command.log_level) + "\n";
}

std::string port_file_value(const std::string& content, const std::string& key) {
  const std::string line_start = key + "=";
  size_t begin = 0;
  while (begin < content.size()) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string line = content.substr(begin, end - begin);
    if (line.starts_with(line_start)) return line.substr(line_start.size());
    begin = end + 1;
  }
  return "";
}

absl::Status check_dev(const DevCommand& command) {
  std::error_code error;
  const std::string name = "--scripts: folder \"" + command.scripts_dir + "\"";
  if (!fs::exists(command.scripts_dir, error)) {
    return absl::NotFoundError(name + " does not exist; make it, or name another");
  }
  if (!fs::is_directory(command.scripts_dir, error)) {
    return absl::FailedPreconditionError(name + " is not a folder");
  }
  absl::Status status = check_port(command.http_port, "HTTP", "--http-port");
  status.Update(check_port(command.grpc_port, "scheduler", "--grpc-port"));
  status.Update(check_port(command.worker_port, "worker", "--worker-port"));
  return status;
}

}  // namespace clusterd
