#include "worker/script_digests.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/worker_fault.h"
#include "worker/trusted_file.h"

namespace clusterd {
namespace {

constexpr size_t kHexDigits = 64;
constexpr size_t kMaxFileBytes = 16 << 20;

absl::Status at_fault(std::string_view what) {
  return by_workers_fault(field_error(absl::StatusCode::kFailedPrecondition, "jobs.digests", what));
}

std::optional<std::string> from_hex(std::string_view hex) {
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  if (hex.size() != kHexDigits || hex.find_first_not_of(kDigits) != hex.npos) return std::nullopt;
  return absl::HexStringToBytes(absl::string_view(hex.data(), hex.size()));
}

// sha256sum writes a line with a leading backslash where a name has one, or ends of lines.
std::optional<std::string> unescaped(std::string_view name) {
  std::string result;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\') {
      result += name[i];
      continue;
    }
    if (++i == name.size()) return std::nullopt;
    if (name[i] == 'n') {
      result += '\n';
    } else if (name[i] == 'r') {
      result += '\r';
    } else if (name[i] == '\\') {
      result += '\\';
    } else {
      return std::nullopt;
    }
  }
  return result;
}

// False: no line of sha256sum's.
bool add_line(std::string_view line, DigestTable& table) {
  const bool is_escaped = line.starts_with('\\');
  if (is_escaped) line.remove_prefix(1);
  if (line.size() < kHexDigits + 3 || line[kHexDigits] != ' ') return false;
  if (line[kHexDigits + 1] != ' ' && line[kHexDigits + 1] != '*') return false;
  const auto digest = from_hex(line.substr(0, kHexDigits));
  std::string_view text = line.substr(kHexDigits + 2);
  while (text.starts_with("./")) text.remove_prefix(2);
  const auto name = is_escaped ? unescaped(text) : std::string(text);
  if (!digest || !name || name->empty()) return false;
  table[*name].insert(*digest);
  return true;
}

std::string real_path_of(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real == nullptr ? "" : real.get();
}

bool is_unchanged(const struct stat& before, const struct stat& now) {
  const auto same_time = [](const timespec& one, const timespec& other) {
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
  };
  return before.st_dev == now.st_dev && before.st_ino == now.st_ino &&
         before.st_size == now.st_size && same_time(before.st_mtim, now.st_mtim) &&
         same_time(before.st_ctim, now.st_ctim);
}

}  // namespace

absl::StatusOr<DigestTable> parse_digests(std::string_view text) {
  DigestTable table;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with('#') || add_line(line, table)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("line ", number, " is not of the form that sha256sum prints"));
  }
  return table;
}

ScriptDigests::ScriptDigests(std::string file, std::string folder)
    : file_(std::move(file)), folder_(std::move(folder)) {}

absl::Status ScriptDigests::check() { return is_used() ? refresh() : absl::OkStatus(); }

absl::StatusOr<DigestTable> ScriptDigests::read(const std::string& path) const {
  const auto opened = open_trusted_file(path);
  if (!opened.ok()) return at_fault(std::string(opened.status().message()));
  std::string text(kMaxFileBytes + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(opened->get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return at_fault(absl::StrCat(file_, ": ", std::strerror(errno)));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size > kMaxFileBytes) return at_fault(absl::StrCat(file_, ": has more than 16 MiB"));
  auto table = parse_digests(std::string_view(text).substr(0, size));
  if (table.ok()) return table;
  return at_fault(absl::StrCat(file_, ": ", table.status().message()));
}

absl::Status ScriptDigests::refresh() {
  struct stat now {};
  const std::string path = real_path_of(file_);
  if (path.empty() || ::stat(path.c_str(), &now) != 0) {
    read_as_.reset();
    return at_fault(absl::StrCat(file_, ": ", std::strerror(errno)));
  }
  if (!read_as_ || !is_unchanged(*read_as_, now)) {
    read_as_ = now;
    table_ = read(path);
  }
  return table_.status();
}

absl::StatusOr<std::string> ScriptDigests::verify(const std::string& name,
                                                  const std::string& path) {
  if (auto status = refresh(); !status.ok()) return status;
  const std::string prefix = real_path_of(folder_) + "/";
  std::set<std::string> allowed;
  for (const std::string& known :
       {std::filesystem::path(name).lexically_normal().native(), path,
        path.starts_with(prefix) ? path.substr(prefix.size()) : std::string()}) {
    const auto found = table_->find(known);
    if (found != table_->end()) allowed.insert(found->second.begin(), found->second.end());
  }
  const auto script = open_trusted_file(path);
  if (!script.ok())
    return field_error(script.status().code(), "path", std::string(script.status().message()));
  struct stat info {};
  if (::fstat(script->get(), &info) != 0 ||
      static_cast<uint64_t>(info.st_size) > kMaxSealedScriptBytes) {
    return field_error(absl::StatusCode::kFailedPrecondition, "path",
                       absl::StrCat("\"", name, "\" has more than the ", kMaxSealedScriptBytes,
                                    " bytes of a script that runs by its digest"));
  }
  auto digest = sha256_of_file(script->get(), path);
  if (!digest.ok() || allowed.contains(*digest)) return digest;
  return field_error(
      absl::StatusCode::kPermissionDenied, "path",
      absl::StrCat("\"", name, "\" has the SHA-256 ", absl::BytesToHexString(*digest),
                   ", which the worker's digests do not have for it"));
}

absl::Status ScriptDigests::check_upload(const std::string& digest) {
  if (auto status = refresh(); !status.ok()) return status;
  const bool is_known = std::any_of(table_->begin(), table_->end(), [&digest](const auto& entry) {
    return entry.second.contains(digest);
  });
  if (is_known) return absl::OkStatus();
  return field_error(absl::StatusCode::kPermissionDenied, "script",
                     absl::StrCat("it has the SHA-256 ", absl::BytesToHexString(digest),
                                  ", which the worker's digests do not have"));
}

bool ScriptDigests::has(const std::string& name) {
  return !is_used() || (refresh().ok() && (table_->contains(name) ||
                                           table_->contains(real_path_of(folder_) + "/" + name)));
}

}  // namespace clusterd
