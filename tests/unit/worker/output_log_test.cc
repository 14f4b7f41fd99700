#include "worker/output_log.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "core/crc32c.h"
#include "worker/output_files.h"

namespace clusterd {
namespace {

constexpr auto kMerged = v1::OutputStream::MERGED;

struct Folder {
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "output-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void append(const std::string& text) const {
    std::ofstream(log_path(path, kMerged), std::ios::app | std::ios::binary) << text;
  }
  std::string path;
};

OutputReader open_reader(const Folder& folder) {
  auto reader = OutputReader::open(folder.path, kMerged);
  REQUIRE(reader.ok());
  return *std::move(reader);
}

TEST_CASE("the checksum is that of RFC 3720", "[output]") {
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c("") == 0);
  CHECK(extend_crc32c(crc32c("1234"), "56789") == crc32c("123456789"));
}

TEST_CASE("a stream that never wrote reads as empty, and grows", "[output]") {
  const Folder folder;
  OutputReader reader = open_reader(folder);
  CHECK(reader.read(0, 100)->data.empty());
  CHECK(reader.extent()->total_bytes() == 0);

  folder.append("hello");

  CHECK(reader.read(0, 100)->data == "hello");
  CHECK(reader.read(3, 1)->data == "l");
  CHECK(reader.read(5, 100)->data.empty());
  CHECK(reader.read(50, 100)->data.empty());
}

TEST_CASE(
    "a record of the first kept byte that a full disk left empty says that nothing is released",
    "[output]") {
  const Folder folder;
  folder.append("abc");
  std::ofstream(folder.path + "/merged.kept");

  const auto bytes = open_reader(folder).read(0, 10);

  REQUIRE(bytes.ok());
  CHECK(bytes->data == "abc");
}

TEST_CASE("released bytes are skipped", "[output]") {
  const Folder folder;
  folder.append("0123456789");
  OutputReader reader = open_reader(folder);
  REQUIRE(write_first_kept(folder.path, kMerged, 4).ok());

  const auto bytes = reader.read(1, 3);

  REQUIRE(bytes.ok());
  CHECK(bytes->offset == 4);
  CHECK(bytes->data == "456");
  CHECK(reader.extent()->first_kept() == 4);
}

TEST_CASE("a read during releases is never empty before the end", "[output]") {
  constexpr uint64_t kLength = 10'000;
  const Folder folder;
  folder.append(std::string(kLength, 'x'));
  OutputReader reader = open_reader(folder);
  std::thread releasing([&folder] {
    for (uint64_t kept = 1; kept < kLength; ++kept) {
      if (!write_first_kept(folder.path, kMerged, kept).ok()) return;
    }
  });

  uint64_t empty = 0;
  uint64_t offset = 0;
  while (offset + 1 < kLength) {
    const auto bytes = reader.read(0, 1);
    if (!bytes.ok()) continue;  // its index was being written at each of three looks
    if (bytes->data.empty()) ++empty;
    offset = bytes->offset;
  }
  releasing.join();

  CHECK(empty == 0);
}

TEST_CASE("a damaged index is an error and not a guess", "[output]") {
  const Folder folder;
  folder.append("0123456789");
  REQUIRE(write_first_kept(folder.path, kMerged, 4).ok());
  std::fstream(folder.path + "/merged.kept", std::ios::in | std::ios::out).put('x');

  OutputReader reader = open_reader(folder);

  CHECK(absl::IsDataLoss(reader.read(0, 10).status()));
}

TEST_CASE("the tail begins at a line, within what is kept", "[output]") {
  const Folder folder;
  folder.append("a\nbb\nccc\n");
  OutputReader reader = open_reader(folder);
  CHECK(*reader.offset_of_tail(0) == 9);
  CHECK(*reader.offset_of_tail(1) == 5);
  CHECK(*reader.offset_of_tail(2) == 2);
  CHECK(*reader.offset_of_tail(3) == 0);
  CHECK(*reader.offset_of_tail(9) == 0);

  folder.append("half");
  CHECK(*reader.offset_of_tail(1) == 9);
  CHECK(*reader.offset_of_tail(2) == 5);

  REQUIRE(write_first_kept(folder.path, kMerged, 7).ok());
  CHECK(*reader.offset_of_tail(3) == 7);
}

TEST_CASE("the tail of long lines is found across blocks", "[output]") {
  const Folder folder;
  folder.append("first\n" + std::string(200'000, 'x') + "\nlast\n");
  OutputReader reader = open_reader(folder);

  CHECK(*reader.offset_of_tail(1) == 200'007);
  CHECK(*reader.offset_of_tail(2) == 6);
}

TEST_CASE("an unknown stream is refused", "[output]") {
  CHECK(absl::IsInvalidArgument(
      OutputReader::open("/", v1::OutputStream::STREAM_UNSPECIFIED).status()));
}

}  // namespace
}  // namespace clusterd
