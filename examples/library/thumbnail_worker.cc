// A program whose functions are jobs: thumbnails of PNG files, and a sheet with all of them.
//
//   thumbnail_worker DATA_DIR [SCHEDULER]
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "clusterd/worker.h"
#include "picture.h"

namespace {

// Arguments: folder of pictures, folder of thumbnails, pixels. One task of an array a picture: task
// 17 makes 17.png. Writing it again is no harm, so that a retry is none.
absl::Status make_thumbnail(clusterd::JobContext& job) {
  const std::vector<std::string> args = job.args();
  if (args.size() != 3 || !job.task_index()) {
    return absl::InvalidArgumentError("start it as an array: PICTURES THUMBNAILS PIXELS");
  }
  const std::string name = "/" + std::to_string(*job.task_index()) + ".png";
  const auto picture = read_png(args[0] + name);
  if (!picture.ok()) return picture.status();
  const Picture small = shrink(*picture, static_cast<uint32_t>(std::stoul(args[2])));
  job.out() << name.substr(1) << ": " << picture->width << "x" << picture->height << " to "
            << small.width << "x" << small.height << "\n";
  return write_png(args[1] + name, small);
}

// Arguments: folder of thumbnails, how many, the sheet. Says how far it is.
absl::Status make_sheet(clusterd::JobContext& job) {
  const std::vector<std::string> args = job.args();
  if (args.size() != 3) return absl::InvalidArgumentError("THUMBNAILS COUNT SHEET");
  const uint32_t count = static_cast<uint32_t>(std::stoul(args[1]));
  constexpr uint32_t kCell = 32;
  constexpr uint32_t kColumns = 40;
  Picture sheet;
  sheet.width = kCell * kColumns;
  sheet.height = kCell * ((count + kColumns - 1) / kColumns);
  sheet.pixels.resize(size_t{4} * sheet.width * sheet.height);
  for (uint32_t i = 0; i < count; ++i) {
    if (job.stop_requested()) return absl::CancelledError("stopped");
    auto small = read_png(args[0] + "/" + std::to_string(i) + ".png");
    if (!small.ok()) return small.status();
    const Picture cell = shrink(*small, kCell);
    for (uint32_t y = 0; y < cell.height; ++y) {
      const size_t row = size_t{i / kColumns} * kCell + y;
      const size_t column = size_t{i % kColumns} * kCell;
      std::copy_n(
          cell.pixels.begin() + static_cast<std::ptrdiff_t>(size_t{4} * y * cell.width),
          size_t{4} * cell.width,
          sheet.pixels.begin() + static_cast<std::ptrdiff_t>(4 * (row * sheet.width + column)));
    }
    job.progress(i + 1, count, "gluing");
  }
  job.out() << "a sheet of " << count << "\n";
  return write_png(args[2], sheet);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: thumbnail_worker DATA_DIR [SCHEDULER]\n";
    return 64;
  }
  clusterd::WorkerOptions options;
  options.data_dir = argv[1];
  options.name = "thumbnails";
  options.slots = 8;
  if (argc > 2) options.scheduler_addresses = {argv[2]};
  clusterd::Worker worker(options);
  worker.handle("thumbnail", make_thumbnail, {.max_concurrent = 4});
  worker.handle("sheet", make_sheet, {.max_concurrent = 1});
  const absl::Status status = worker.run();
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 70;
}
