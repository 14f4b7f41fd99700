#include "store/store_archive.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "core/crc32c.h"

namespace clusterd {
namespace {

constexpr std::string_view kMagic = "clusterd store archive 1\n";
constexpr size_t kHeadBytes = 9;                // kind, size, CRC32C
constexpr uint32_t kLargestRecord = 64U << 20;  // more than any message may be
constexpr size_t kEndBytes = 8 + 32;

template <typename T>
void put_number(std::string& bytes, T number) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
  }
}

template <typename T>
T number_at(std::string_view bytes, size_t offset) {
  T number = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    number |= static_cast<T>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i);
  }
  return number;
}

uint32_t checksum(std::string_view kind_and_size, std::string_view content) {
  return extend_crc32c(crc32c(kind_and_size), content);
}

}  // namespace

uint64_t epoch_after_import(uint64_t epoch) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return std::max(epoch, static_cast<uint64_t>(seconds));
}

ArchiveWriter::ArchiveWriter(std::FILE* stream) : stream_(stream) {}

absl::Status ArchiveWriter::write(std::string_view bytes) {
  sum_.add(bytes);
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream_) == bytes.size()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the archive: ", absl::ErrnoToStatus(errno, "").message()));
}

absl::Status ArchiveWriter::add(ArchiveKind kind, std::string_view content) {
  if (count_ == 0) {
    if (auto status = write(kMagic); !status.ok()) return status;
  }
  std::string head(1, static_cast<char>(kind));
  put_number(head, static_cast<uint32_t>(content.size()));
  put_number(head, checksum(head, content));
  if (auto status = write(head); !status.ok()) return status;
  ++count_;
  return write(content);
}

absl::Status ArchiveWriter::finish() {
  std::string content;
  put_number(content, count_);
  content += sum_.finish();
  std::string head(1, static_cast<char>(ArchiveKind::kEnd));
  put_number(head, static_cast<uint32_t>(content.size()));
  put_number(head, checksum(head, content));
  head += content;
  const bool is_written =
      std::fwrite(head.data(), 1, head.size(), stream_) == head.size() && std::fflush(stream_) == 0;
  // A pipe cannot be synced, and need not be.
  const bool is_kept = is_written && (::fsync(::fileno(stream_)) == 0 || errno == EINVAL);
  if (is_kept) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("the archive: ", absl::ErrnoToStatus(errno, "").message()));
}

ArchiveReader::ArchiveReader(std::string path, std::FILE* stream)
    : path_(std::move(path)), stream_(stream) {}

ArchiveReader::~ArchiveReader() { std::fclose(stream_); }

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::open(const std::string& path) {
  std::FILE* stream = std::fopen(path.c_str(), "re");
  if (stream == nullptr) return absl::ErrnoToStatus(errno, path);
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(path, stream));
  const auto magic = reader->read(kMagic.size());
  if (magic.ok() && *magic == kMagic) return reader;
  const std::string_view kin = kMagic.substr(0, kMagic.size() - 2);
  if (magic.ok() && magic->starts_with(kin)) {
    return absl::FailedPreconditionError(path + " was made by a newer clusterd");
  }
  return absl::FailedPreconditionError(path + " is no archive of a clusterd store");
}

absl::Status ArchiveReader::damaged(const std::string& how) const {
  return absl::DataLossError(
      absl::StrCat(path_, ", record ", count_ + 1, " at byte ", offset_, ": ", how));
}

absl::StatusOr<std::string> ArchiveReader::read(size_t size) {
  std::string bytes(size, '\0');
  if (std::fread(bytes.data(), 1, size, stream_) != size) return damaged("it is cut");
  return bytes;
}

absl::Status ArchiveReader::check_end(std::string_view content, const std::string& sum) const {
  const bool is_whole = content.size() == kEndBytes && number_at<uint64_t>(content, 0) == count_ &&
                        content.substr(8) == sum;
  return is_whole ? absl::OkStatus() : damaged("what is before the end is not what was written");
}

absl::StatusOr<std::optional<ArchiveRecord>> ArchiveReader::next() {
  if (offset_ == 0) {
    sum_.add(kMagic);
    offset_ = kMagic.size();
  }
  const auto head = read(kHeadBytes);
  if (!head.ok()) return head.status();
  const auto size = number_at<uint32_t>(*head, 1);
  if (size > kLargestRecord) return damaged("its size cannot be");
  auto content = read(size);
  if (!content.ok()) return content.status();
  if (checksum(head->substr(0, 5), *content) != number_at<uint32_t>(*head, 5)) {
    return damaged("its checksum is wrong");
  }
  const auto kind = static_cast<ArchiveKind>(head->front());
  if (kind == ArchiveKind::kEnd) {
    if (auto status = check_end(*content, sum_.finish()); !status.ok()) return status;
    return std::nullopt;
  }
  sum_.add(*head);
  sum_.add(*content);
  ++count_;
  offset_ += kHeadBytes + size;
  return ArchiveRecord{kind, *std::move(content)};
}

}  // namespace clusterd
