#pragma once

#include "clusterd/v1/job.pb.h"

namespace clusterd {

// Takes out of a job what no reader is shown: the values of environment variables, and the content
// of a script that came with it, whose SHA-256 stays. Any thread.
void hide_contents(v1::Job& job);
void hide_contents(v1::JobSpec& spec);

}  // namespace clusterd
