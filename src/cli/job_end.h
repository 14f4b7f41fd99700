#pragma once

#include "client/output_assembler.h"
#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Prints how a job ended, as JSON on standard output or, where it did not succeed, in words on
// standard error. Gives the job's exit code.
[[nodiscard]] int print_end(const v1::Job& job, bool as_json);

// Says on standard error how much of an output was released before it could be read, if any was.
void tell_skipped(const OutputAssembler& output);

}  // namespace clusterd
