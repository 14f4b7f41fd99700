#pragma once

#include <string>

#include "clusterd/v1/job.pb.h"
#include "clusterd/v1/worker.pb.h"

namespace clusterd {

// Which jobs a worker's handlers are for. A worker that offers handlers is a program: it runs jobs
// that name one of them, and no others.

// The worker runs jobs of this kind; `handler` empty: a job that is no handler's.
[[nodiscard]] bool offers_handler(const v1::Worker& worker, const std::string& handler);

// Why it takes no further job of the handler now; empty: it does, or it does not offer it.
[[nodiscard]] std::string lack_of_handler(const v1::Worker& worker, const std::string& handler);

// Why it is not a worker for such jobs; empty: it is one.
[[nodiscard]] std::string fault_of_handler(const v1::Worker& worker, const std::string& handler);

// One job of its handler more (1) or less (-1) runs there.
void count_handler(v1::Worker& worker, const v1::JobSpec& spec, int by);

}  // namespace clusterd
