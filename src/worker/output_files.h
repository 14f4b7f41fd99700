#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// The files of one stream in an attempt's folder: `<stream>.log`, whose byte n is the stream's byte
// n, with released bytes as a hole at its beginning; and `<stream>.kept`, made with the first
// release, which is written before the bytes go.

// "merged", "stdout" or "stderr"; empty for anything else.
[[nodiscard]] std::string stream_name(v1::OutputStream::Stream stream);
[[nodiscard]] std::string log_path(const std::string& folder, v1::OutputStream::Stream stream);

// Offset of the first byte that is kept; 0 where nothing was released. DATA_LOSS: the file is
// damaged.
[[nodiscard]] absl::StatusOr<uint64_t> read_first_kept(const std::string& folder,
                                                       v1::OutputStream::Stream stream);
// An error: what was there before stays.
[[nodiscard]] absl::Status write_first_kept(const std::string& folder,
                                            v1::OutputStream::Stream stream, uint64_t first_kept);

}  // namespace clusterd
