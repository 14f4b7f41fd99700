#include "scheduler/worker_handlers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

const v1::Handler* find(const v1::Worker& worker, const std::string& name) {
  const auto& all = worker.handlers();
  const auto found = std::find_if(all.begin(), all.end(), [&name](const v1::Handler& handler) {
    return handler.name() == name;
  });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

bool offers_handler(const v1::Worker& worker, const std::string& handler) {
  if (handler.empty()) return worker.handlers().empty();
  return find(worker, handler) != nullptr;
}

std::string lack_of_handler(const v1::Worker& worker, const std::string& handler) {
  const v1::Handler* offered = handler.empty() ? nullptr : find(worker, handler);
  if (offered == nullptr || offered->max_concurrent() == 0 ||
      offered->running() < offered->max_concurrent()) {
    return "";
  }
  return absl::StrCat("runs ", offered->running(), " jobs of handler ", handler, ", at most ",
                      offered->max_concurrent(), " at a time");
}

std::string fault_of_handler(const v1::Worker& worker, const std::string& handler) {
  if (offers_handler(worker, handler)) return "";
  if (handler.empty()) return "is a program that runs its own handlers only";
  return absl::StrCat("does not offer handler ", handler);
}

void count_handler(v1::Worker& worker, const v1::JobSpec& spec, int by) {
  if (spec.handler().empty()) return;
  for (v1::Handler& handler : *worker.mutable_handlers()) {
    if (handler.name() != spec.handler()) continue;
    const int64_t running = int64_t{handler.running()} + by;
    handler.set_running(static_cast<uint32_t>(std::max<int64_t>(running, 0)));
  }
}

}  // namespace clusterd
