#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "core/clock.h"

namespace clusterd {

// Attempts below `data_dir`/output of which nothing has been written for `max_age`. Whether they
// are still held is the caller's to know. Blocks on the disk: not for the core thread.
[[nodiscard]] std::vector<v1::AttemptKey> find_old_output(const std::string& data_dir,
                                                          std::chrono::nanoseconds max_age,
                                                          WallTime now);

// Deletes the attempt's folder, and its job's where that was the last. Blocks as above.
void delete_output(const std::string& data_dir, const v1::AttemptKey& key);

}  // namespace clusterd
