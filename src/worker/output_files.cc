#include "worker/output_files.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/crc32c.h"
#include "worker/unique_fd.h"

namespace clusterd {
namespace {

struct KeptRecord {
  uint64_t first_kept = 0;
  uint32_t crc = 0;
  uint32_t version = 1;
};

uint32_t crc_of(uint64_t value) {
  return crc32c({reinterpret_cast<const char*>(&value), sizeof(value)});
}

std::string kept_path(const std::string& folder, v1::OutputStream::Stream stream) {
  return absl::StrCat(folder, "/", stream_name(stream), ".kept");
}

}  // namespace

std::string stream_name(v1::OutputStream::Stream stream) {
  if (stream == v1::OutputStream::MERGED) return "merged";
  if (stream == v1::OutputStream::STDOUT) return "stdout";
  if (stream == v1::OutputStream::STDERR) return "stderr";
  return "";
}

std::string log_path(const std::string& folder, v1::OutputStream::Stream stream) {
  return absl::StrCat(folder, "/", stream_name(stream), ".log");
}

absl::StatusOr<uint64_t> read_first_kept(const std::string& folder,
                                         v1::OutputStream::Stream stream) {
  const std::string path = kept_path(folder, stream);
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid() && errno == ENOENT) return 0;
  if (!file.valid()) return absl::DataLossError(absl::StrCat(path, ": ", std::strerror(errno)));
  KeptRecord record;
  for (int attempt = 0; attempt < 3; ++attempt) {  // the launcher may be writing it
    const ssize_t size = ::pread(file.get(), &record, sizeof(record), 0);
    if (size == 0) return 0;  // a full disk took the file, but nothing in it: nothing was released
    if (size == sizeof(record) && record.crc == crc_of(record.first_kept)) return record.first_kept;
  }
  return absl::DataLossError(absl::StrCat(path, ": damaged"));
}

absl::Status write_first_kept(const std::string& folder, v1::OutputStream::Stream stream,
                              uint64_t first_kept) {
  const std::string path = kept_path(folder, stream);
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  const KeptRecord record{first_kept, crc_of(first_kept), 1};
  if (file.valid() && ::pwrite(file.get(), &record, sizeof(record), 0) == sizeof(record)) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(path, ": ", std::strerror(errno)));
}

}  // namespace clusterd
