#include "core/job_view.h"

namespace clusterd {

void hide_contents(v1::Job& job) {
  for (auto& [name, value] : *job.mutable_spec()->mutable_env()) value.clear();
  if (job.spec().has_script()) job.mutable_spec()->mutable_script()->clear_content();
}

}  // namespace clusterd
