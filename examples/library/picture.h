#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// An RGBA picture in memory.
struct Picture {
  uint32_t width = 0;
  uint32_t height = 0;
  std::vector<uint8_t> pixels;  // four bytes each, row by row
};

absl::StatusOr<Picture> read_png(const std::string& path);
absl::Status write_png(const std::string& path, const Picture& picture);

// The same picture with its longer side of `longest` pixels: each pixel the mean of those it stands
// for. One that is smaller stays as it is.
Picture shrink(const Picture& picture, uint32_t longest);
