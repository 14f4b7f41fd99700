#include "store/wal_damage.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

constexpr size_t kHeaderBytes = 32;
constexpr size_t kFrameHeaderBytes = 24;
constexpr uint32_t kMagic = 0x377f0682;  // the last bit: checksums are of big-endian words
constexpr uint32_t kLargestPage = 65'536;
constexpr size_t kUsualPage = 4'096;
constexpr int kMostNames = 1'000;

uint32_t big_endian_at(std::string_view bytes, size_t offset) {
  uint32_t number = 0;
  for (size_t i = 0; i < 4; ++i) {
    number = (number << 8) | static_cast<unsigned char>(bytes[offset + i]);
  }
  return number;
}

// The checksum of the format: two sums over words, each of which goes on from the last.
class WalSum {
 public:
  // Goes on from the sums that stand at `offset`.
  WalSum(bool big_endian, std::string_view bytes, size_t offset)
      : big_endian_(big_endian),
        first_(big_endian_at(bytes, offset)),
        second_(big_endian_at(bytes, offset + 4)) {}

  void add(std::string_view bytes) {
    for (size_t at = 0; at + 8 <= bytes.size(); at += 8) {
      first_ += word_at(bytes, at) + second_;
      second_ += word_at(bytes, at + 4) + first_;
    }
  }
  [[nodiscard]] bool is(std::string_view bytes, size_t offset) const {
    return big_endian_at(bytes, offset) == first_ && big_endian_at(bytes, offset + 4) == second_;
  }

 private:
  [[nodiscard]] uint32_t word_at(std::string_view bytes, size_t offset) const {
    const uint32_t number = big_endian_at(bytes, offset);
    return big_endian_ ? number : __builtin_bswap32(number);
  }

  const bool big_endian_;
  uint32_t first_;
  uint32_t second_;
};

class Descriptor {
 public:
  explicit Descriptor(const std::string& path)
      : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] bool valid() const { return number_ >= 0; }
  // Fewer than it has room for: the file ends there.
  absl::StatusOr<size_t> read(std::string& bytes) const {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::read(number_, bytes.data() + done, bytes.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::UnavailableError(std::strerror(errno));
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }

 private:
  const int number_;
};

absl::Status copy_durably(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::copy_file(from, to, error);
  const int copy = error ? -1 : ::open(to.c_str(), O_WRONLY | O_CLOEXEC);
  const bool done = copy >= 0 && ::fsync(copy) == 0;
  const std::string why = error ? error.message() : std::strerror(errno);
  if (copy >= 0) ::close(copy);
  if (done) return absl::OkStatus();
  std::filesystem::remove(to, error);
  return absl::UnavailableError(absl::StrCat(from, " is damaged, and no copy can be made: ", why));
}

}  // namespace

absl::StatusOr<std::optional<WalDamage>> find_wal_damage(const std::string& path) {
  const std::optional<WalDamage> none;
  const Descriptor file(path);
  if (!file.valid() && errno == ENOENT) return none;
  if (!file.valid()) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  std::string header(kHeaderBytes, '\0');
  auto size = file.read(header);
  if (!size.ok()) return size.status();
  if (*size < kHeaderBytes) return none;
  const uint32_t magic = big_endian_at(header, 0);
  const bool big_endian = (magic & 1) != 0;
  WalSum sum(big_endian, std::string(8, '\0'), 0);
  sum.add(std::string_view(header).substr(0, 24));
  const bool has_header = (magic & ~1U) == kMagic && sum.is(header, 24);
  const uint32_t page = big_endian_at(header, 8);
  const bool has_page = has_header && page >= 512 && page <= kLargestPage;
  std::string frame(kFrameHeaderBytes + (has_page ? page : kUsualPage), '\0');
  const std::string salt = header.substr(16, 8);
  std::string stored = header.substr(24, 8);
  bool sound = has_header;
  WalDamage damage;
  for (size = file.read(frame); size.ok() && *size == frame.size(); size = file.read(frame)) {
    const std::string_view bytes(frame);
    WalSum local(big_endian, stored, 0);
    local.add(bytes.substr(0, 8));
    local.add(bytes.substr(kFrameHeaderBytes));
    const bool follows = local.is(bytes, 16) && (!has_header || bytes.substr(8, 8) == salt);
    const bool is_commit = big_endian_at(bytes, 4) != 0;
    sound = sound && follows;
    damage.sound_frames += sound ? 1 : 0;
    damage.lost_commits += !sound && follows && is_commit ? 1 : 0;
    stored = bytes.substr(16, 8);
  }
  if (!size.ok()) return size.status();
  if (damage.lost_commits == 0) return none;
  damage.sound_bytes = has_header ? kHeaderBytes + damage.sound_frames * frame.size() : 0;
  return damage;
}

std::string text_of(const WalDamage& damage) {
  return absl::StrCat("write-ahead log: damaged behind ", damage.sound_frames, " pages, ",
                      damage.lost_commits, " commits are lost");
}

absl::StatusOr<std::string> free_damaged_name(const std::string& path) {
  for (int number = 1; number <= kMostNames; ++number) {
    const std::string name =
        absl::StrCat(path, ".damaged", number == 1 ? "" : absl::StrCat("-", number));
    if (::access(name.c_str(), F_OK) != 0 && ::access((name + "-wal").c_str(), F_OK) != 0) {
      return name;
    }
  }
  return absl::UnavailableError(
      absl::StrCat("there are ", kMostNames, " ", path, ".damaged files; move them away"));
}

absl::StatusOr<std::string> keep_damaged_log(const std::string& path) {
  const std::string log = path + "-wal";
  const auto damage = find_wal_damage(log);
  if (!damage.ok()) return damage.status();
  if (!*damage) return std::string();
  const auto kept = free_damaged_name(path);
  if (!kept.ok()) return kept.status();
  if (auto status = copy_durably(path, *kept); !status.ok()) return status;
  if (auto status = copy_durably(log, *kept + "-wal"); !status.ok()) return status;
  if (::truncate(log.c_str(), static_cast<off_t>((*damage)->sound_bytes)) != 0) {
    return absl::UnavailableError(absl::StrCat(log, ": ", std::strerror(errno)));
  }
  return absl::StrCat(text_of(**damage), "; copies are ", *kept, " and ", *kept, "-wal");
}

}  // namespace clusterd
