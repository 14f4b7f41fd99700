#pragma once

#include <sys/mount.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace clusterd {

// A file system of 4 MiB, of which nothing is left, in a new folder. Only root can mount one;
// others are warned and skip the test.
class FullDisk {
 public:
  explicit FullDisk(std::string path) : path_(std::move(path)) {
    REQUIRE(::mkdir(path_.c_str(), 0700) == 0);
    is_mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=4m") == 0;
    if (!is_mounted_) {
      WARN("not tested: a file system can be mounted by root only");
      return;
    }
    std::ofstream filler(path_ + "/filler", std::ios::binary);
    const std::string block(4096, 'x');
    while (filler << block << std::flush) {
    }
  }
  ~FullDisk() {
    if (is_mounted_) (void)::umount2(path_.c_str(), MNT_DETACH);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

  [[nodiscard]] bool is_mounted() const { return is_mounted_; }
  void make_room() const { std::filesystem::remove(path_ + "/filler"); }

 private:
  std::string path_;
  bool is_mounted_ = false;
};

}  // namespace clusterd
