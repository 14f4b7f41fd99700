#include "worker/launcher/sealed_script.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "worker/trusted_file.h"

namespace clusterd {
namespace {

#ifndef MFD_EXEC
constexpr unsigned MFD_EXEC = 0x10;  // Linux 6.3
#endif

constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
constexpr mode_t kMode = 0555;

absl::Status unavailable(const std::string& path, std::string_view what) {
  return absl::UnavailableError(
      absl::StrCat("script ", path, ": ", std::string(what), ": ", std::strerror(errno)));
}

UniqueFd make_memory_file() {
  UniqueFd file(::memfd_create("script", kFlags | MFD_EXEC));
  if (!file.valid() && errno == EINVAL) file.reset(::memfd_create("script", kFlags));
  return file;
}

absl::Status copy(int from, int to, const std::string& path) {
  for (uint64_t copied = 0; copied <= kMaxSealedScriptBytes;) {
    const ssize_t size = ::sendfile(to, from, nullptr, kMaxSealedScriptBytes + 1 - copied);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return unavailable(path, "cannot be copied");
    if (size == 0) return absl::OkStatus();
    copied += static_cast<uint64_t>(size);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "script ", path, ": has more than ", kMaxSealedScriptBytes, " bytes, the most of a copy"));
}

}  // namespace

absl::StatusOr<UniqueFd> seal_script(const internal::CheckedScript& script) {
  const absl::StatusOr<UniqueFd> source = open_trusted_file(script.path());
  if (!source.ok()) return source.status();
  UniqueFd sealed = make_memory_file();
  if (!sealed.valid()) return unavailable(script.path(), "no copy in memory");
  if (auto status = copy(source->get(), sealed.get(), script.path()); !status.ok()) return status;
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fchmod(sealed.get(), kMode) != 0 || ::fcntl(sealed.get(), F_ADD_SEALS, kSeals) != 0 ||
      ::lseek(sealed.get(), 0, SEEK_SET) != 0) {
    return unavailable(script.path(), "its copy cannot be sealed");
  }
  if (script.sha256().empty()) return sealed;
  // Of the copy, after nobody can change it: what is compared is what runs.
  const auto digest = sha256_of_file(sealed.get(), script.path());
  if (!digest.ok()) return digest.status();
  if (*digest == script.sha256()) return sealed;
  return absl::FailedPreconditionError(
      absl::StrCat("script ", script.path(), ": it was changed after it had been checked"));
}

}  // namespace clusterd
