#include "worker/launcher/stream_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "worker/launcher/spawn.h"
#include "worker/output_files.h"
#include "worker/output_log.h"

namespace clusterd {
namespace {

constexpr auto kMerged = v1::OutputStream::MERGED;

// A FIFO, whose writing end is here, and the folder of its log.
class LogFixture {
 public:
  LogFixture() {
    std::string name = std::filesystem::temp_directory_path() / "stream-log-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    REQUIRE(::mkfifo((path_ + "/fifo").c_str(), 0600) == 0);
    writer_.reset(::open((path_ + "/fifo").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(writer_.valid());
  }
  ~LogFixture() { std::filesystem::remove_all(path_); }
  LogFixture(const LogFixture&) = delete;
  LogFixture& operator=(const LogFixture&) = delete;

  [[nodiscard]] StreamLog open(OutputBounds bounds) const {
    absl::StatusOr<UniqueFd> fifo = open_fifo(path_ + "/fifo");
    REQUIRE(fifo.ok());
    return {folder(), kMerged, bounds, *std::move(fifo)};
  }
  void write(const std::string& text) const {
    REQUIRE(::write(writer_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  // What a reader gets who asks from `offset` on.
  [[nodiscard]] OutputBytes read(uint64_t offset) const {
    absl::StatusOr<OutputReader> reader = OutputReader::open(folder(), kMerged);
    REQUIRE(reader.ok());
    absl::StatusOr<OutputBytes> bytes = reader->read(offset, 64 << 20);
    REQUIRE(bytes.ok());
    return *std::move(bytes);
  }
  [[nodiscard]] uint64_t disk_bytes() const {
    struct stat info {};
    REQUIRE(::stat(log_path(folder(), kMerged).c_str(), &info) == 0);
    return static_cast<uint64_t>(info.st_blocks) * 512;
  }
  [[nodiscard]] std::string folder() const { return path_ + "/output/job/1"; }

 private:
  std::string path_;
  UniqueFd writer_;
};

uint64_t moved(StreamLog& log) {
  const absl::StatusOr<uint64_t> bytes = log.move_some();
  REQUIRE(bytes.ok());
  return *bytes;
}

// 4096 bytes that tell their place.
std::string block(int number) {
  std::string text;
  while (text.size() < 4096) text += std::to_string(number) + " ";
  return text.substr(0, 4096);
}

TEST_CASE("a stream that stops keeps exactly its first bytes", "[stream_log]") {
  const LogFixture fixture;
  StreamLog log = fixture.open({.max_bytes = 10'000, .stops = true});
  const std::string text = block(1) + block(2) + block(3);
  fixture.write(text);

  CHECK(moved(log) == 10'000);
  const absl::Status beyond = log.move_some().status();
  const uint64_t dropped = log.drop_some();

  CHECK(absl::IsResourceExhausted(beyond));
  CHECK(beyond.message() ==
        "it wrote more than 10000 bytes to its merged output, and its policy is to stop");
  CHECK(dropped == text.size() - 10'000);
  CHECK(log.extent().total_bytes() == 10'000);
  CHECK(log.extent().first_kept() == 0);
  CHECK(fixture.read(0).data == text.substr(0, 10'000));
}

TEST_CASE("a stream that writes exactly its bound has not met it", "[stream_log]") {
  const LogFixture fixture;
  StreamLog log = fixture.open({.max_bytes = 4096, .stops = true});
  fixture.write(block(1));

  CHECK(moved(log) == 4096);
  CHECK(moved(log) == 0);
}

TEST_CASE("the oldest bytes go, the last ones stay at their offsets", "[stream_log]") {
  const LogFixture fixture;
  constexpr uint64_t kMax = 64 << 10;
  StreamLog log = fixture.open({.max_bytes = kMax});
  uint64_t most = 0;

  for (int i = 0; i < 500; ++i) {
    fixture.write(block(i));
    REQUIRE(moved(log) == 4096);
    most = std::max(most, fixture.disk_bytes());
  }

  CHECK(most <= kMax + (16 << 10));
  const OutputBytes rest = fixture.read(0);
  CHECK(rest.offset == log.extent().first_kept());
  CHECK(rest.offset + rest.data.size() == 500 * 4096);
  CHECK(rest.data.size() >= kMax);
  std::string want;
  for (uint64_t i = rest.offset / 4096; i < 500; ++i) want += block(static_cast<int>(i));
  const bool is_true = rest.data == want;
  CHECK(is_true);
}

TEST_CASE("bytes that are skipped look like released ones", "[stream_log]") {
  const LogFixture fixture;
  StreamLog log = fixture.open({});
  fixture.write("first");
  REQUIRE(moved(log) == 5);
  fixture.write("lost");

  CHECK(log.skip_some() == 4);
  fixture.write("last");
  REQUIRE(moved(log) == 4);

  CHECK(log.extent().total_bytes() == 13);
  CHECK(log.extent().first_kept() == 9);
  CHECK(fixture.read(0).offset == 9);
  CHECK(fixture.read(0).data == "last");
  CHECK(log.tail(100) == "last");
}

TEST_CASE("another launcher goes on after what was skipped", "[stream_log]") {
  const LogFixture fixture;
  {
    StreamLog log = fixture.open({});
    fixture.write("first");
    REQUIRE(moved(log) == 5);
    fixture.write("lost");
    REQUIRE(log.skip_some() == 4);
  }
  // As one that was killed before it had made the log as long.
  REQUIRE(::truncate(log_path(fixture.folder(), kMerged).c_str(), 5) == 0);

  StreamLog log = fixture.open({});
  CHECK(fixture.read(0).data.empty());
  fixture.write("last");
  REQUIRE(moved(log) == 4);

  CHECK(fixture.read(0).offset == 9);
  CHECK(fixture.read(0).data == "last");
}

TEST_CASE("skipping without a folder to write to is told, and is caught up on later",
          "[stream_log]") {
  const LogFixture fixture;
  const std::string base = fixture.folder().substr(0, fixture.folder().find("/job"));
  const UniqueFd in_its_place(::open(base.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  StreamLog log = fixture.open({});
  fixture.write("lost");

  CHECK(absl::IsUnavailable(log.move_some().status()));
  CHECK(log.skip_some() == 4);
  CHECK(log.extent().total_bytes() == 4);
  CHECK(log.extent().first_kept() == 4);
  REQUIRE(::unlink(base.c_str()) == 0);
  fixture.write("kept");
  REQUIRE(moved(log) == 4);

  CHECK(fixture.read(0).offset == 4);
  CHECK(fixture.read(0).data == "kept");
}

}  // namespace
}  // namespace clusterd
