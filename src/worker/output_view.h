#pragma once

#include <cstdint>
#include <vector>

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// What a reader of output needs to know of an attempt, at one moment.
struct OutputView {
  bool known = false;     // the attempt is held here
  bool settled = false;   // it was accepted, so its streams are known
  bool separate = false;  // two streams
  bool ended = false;     // `outputs` are final
  std::vector<v1::OutputStream> outputs;

  // Length of a stream as last heard; 0 for one that has not written.
  [[nodiscard]] uint64_t length(v1::OutputStream::Stream stream) const {
    for (const v1::OutputStream& output : outputs) {
      if (output.stream() == stream) return output.total_bytes();
    }
    return 0;
  }
  // Bytes below it are released, as last heard.
  [[nodiscard]] uint64_t first_kept(v1::OutputStream::Stream stream) const {
    for (const v1::OutputStream& output : outputs) {
      if (output.stream() == stream) return output.first_kept();
    }
    return 0;
  }
};

}  // namespace clusterd
