#include "picture.h"

#include <png.h>

#include <algorithm>
#include <cstring>

absl::StatusOr<Picture> read_png(const std::string& path) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
    return absl::NotFoundError(path + ": " + image.message);
  }
  image.format = PNG_FORMAT_RGBA;
  Picture picture{image.width, image.height, {}};
  picture.pixels.resize(PNG_IMAGE_SIZE(image));
  if (png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr) == 0) {
    return absl::DataLossError(path + ": " + image.message);
  }
  return picture;
}

absl::Status write_png(const std::string& path, const Picture& picture) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = PNG_FORMAT_RGBA;
  if (png_image_write_to_file(&image, path.c_str(), 0, picture.pixels.data(), 0, nullptr) == 0) {
    return absl::UnavailableError(path + ": " + image.message);
  }
  return absl::OkStatus();
}

Picture shrink(const Picture& picture, uint32_t longest) {
  const uint32_t side = std::max(picture.width, picture.height);
  if (side <= longest || longest == 0) return picture;
  Picture small;
  small.width = std::max(1U, picture.width * longest / side);
  small.height = std::max(1U, picture.height * longest / side);
  small.pixels.resize(size_t{4} * small.width * small.height);
  for (uint32_t y = 0; y < small.height; ++y) {
    const uint32_t top = y * picture.height / small.height;
    const uint32_t bottom = std::max(top + 1, (y + 1) * picture.height / small.height);
    for (uint32_t x = 0; x < small.width; ++x) {
      const uint32_t left = x * picture.width / small.width;
      const uint32_t right = std::max(left + 1, (x + 1) * picture.width / small.width);
      uint64_t sums[4] = {};
      for (uint32_t row = top; row < bottom; ++row) {
        for (uint32_t column = left; column < right; ++column) {
          const size_t at = size_t{4} * (size_t{row} * picture.width + column);
          for (size_t i = 0; i < 4; ++i) sums[i] += picture.pixels[at + i];
        }
      }
      const uint64_t count = uint64_t{bottom - top} * (right - left);
      const size_t at = size_t{4} * (size_t{y} * small.width + x);
      for (size_t i = 0; i < 4; ++i) small.pixels[at + i] = static_cast<uint8_t>(sums[i] / count);
    }
  }
  return small;
}
