#include "core/job_view.h"

namespace clusterd {

void hide_contents(v1::Job& job) { hide_contents(*job.mutable_spec()); }

void hide_contents(v1::JobSpec& spec) {
  for (auto& [name, value] : *spec.mutable_env()) value.clear();
  if (spec.has_script()) spec.mutable_script()->clear_content();
}

}  // namespace clusterd
