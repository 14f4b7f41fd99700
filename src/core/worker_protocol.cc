#include "core/worker_protocol.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/command_words.h"
#include "core/field_error.h"
#include "core/job_spec_check.h"

namespace clusterd {
namespace {

using google::protobuf::FieldDescriptor;
using v1::Worker;

// What the scheduler does for a job, whoever runs it. Whatever else is set, now or in a later
// version, is for workers of our own.
constexpr std::array kForScheduler = {
    v1::JobSpec::kNameFieldNumber,         v1::JobSpec::kWorkerIdFieldNumber,
    v1::JobSpec::kQueueTimeoutFieldNumber, v1::JobSpec::kPriorityFieldNumber,
    v1::JobSpec::kQueueFieldNumber,        v1::JobSpec::kResourcesFieldNumber,
    v1::JobSpec::kRequireFieldNumber,      v1::JobSpec::kLabelsFieldNumber,
    v1::JobSpec::kRetryFieldNumber,        v1::JobSpec::kLostAfterFieldNumber,
    v1::JobSpec::kStartAtFieldNumber,      v1::JobSpec::kStartDelayFieldNumber,
    v1::JobSpec::kAfterFieldNumber,        v1::JobSpec::kPathFieldNumber,
    v1::JobSpec::kCommandFieldNumber,      v1::JobSpec::kPayloadFieldNumber,
    v1::JobSpec::kPreferFieldNumber,       v1::JobSpec::kPackFieldNumber,
    v1::JobSpec::kTolerateFieldNumber,
};

struct Lack {
  std::string_view field;  // empty: none
  std::string_view why;
};

// The protocol's one argument is the path, even where that is empty.
bool has_only_the_path(const v1::JobSpec& spec) {
  return spec.args().empty() ||
         (spec.path().empty() && spec.args_size() == 1 && spec.args(0).empty());
}

Lack lack_of_jobscheduler(const v1::JobSpec& spec) {
  if (spec.command().empty()) {
    return {"command", "is empty, and such a worker runs a command with the path as its argument"};
  }
  if (!has_only_the_path(spec)) {
    return {"args", "are given, and such a worker passes on the path alone"};
  }
  return {};
}

// All other fields, by number. Arguments are looked at by themselves.
std::vector<const FieldDescriptor*> for_own_workers() {
  std::vector<const FieldDescriptor*> fields;
  const auto& type = *v1::JobSpec::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const int number = type.field(i)->number();
    const bool is_for_all =
        number == v1::JobSpec::kArgsFieldNumber ||
        std::find(kForScheduler.begin(), kForScheduler.end(), number) != kForScheduler.end();
    if (!is_for_all) fields.push_back(type.field(i));
  }
  std::sort(fields.begin(), fields.end(),
            [](const auto* a, const auto* b) { return a->number() < b->number(); });
  return fields;
}

// The first of these that the spec has; null: none. Asked for each job that enters the queue.
const FieldDescriptor* first_for_own_workers(const v1::JobSpec& spec) {
  static const std::vector<const FieldDescriptor*> kFields = for_own_workers();
  const auto& reflection = *spec.GetReflection();
  for (const FieldDescriptor* field : kFields) {
    const bool is_set = field->is_repeated() ? reflection.FieldSize(spec, field) > 0
                                             : reflection.HasField(spec, field);
    if (is_set) return field;
  }
  return nullptr;
}

Lack lack_of_clusterd(const v1::JobSpec& spec) {
  if (spec.path().empty() && spec.command().empty() && !spec.has_script() &&
      spec.handler().empty()) {
    return {"path", "is empty, and so is command: only a go-work worker can run a bare payload"};
  }
  return {};
}

// What is beyond both of the earlier systems.
Lack lack_of_originals(const v1::JobSpec& spec) {
  if (const FieldDescriptor* field = first_for_own_workers(spec)) {
    return {field->name(), "is set, and such a worker can do nothing of the kind"};
  }
  if (spec.resources().every_worker()) {
    return {"resources.every_worker", "goes to clusterd's own workers alone"};
  }
  const auto& on = spec.retry().on();
  const bool on_loss = std::find(on.begin(), on.end(), v1::RetryPolicy::LOSS) != on.end();
  if (on_loss && !spec.retry().allow_overlap()) {
    return {"retry.on",
            "has LOSS, and such a worker cannot end a lost attempt by itself: set "
            "retry.allow_overlap where two may run at the same time"};
  }
  return {};
}

Lack lack_of(Worker::Protocol protocol, const v1::JobSpec& spec) {
  if (!is_original(protocol)) return lack_of_clusterd(spec);
  const Lack lack = lack_of_originals(spec);
  if (!lack.field.empty() || protocol != Worker::JOBSCHEDULER) return lack;
  return lack_of_jobscheduler(spec);
}

}  // namespace

std::string_view word_of(Worker::Protocol protocol) {
  switch (protocol) {
    case Worker::JOBSCHEDULER:
      return "jobscheduler";
    case Worker::GO_WORK:
      return "go-work";
    default:
      return "clusterd";
  }
}

bool is_original(Worker::Protocol protocol) {
  return protocol == Worker::JOBSCHEDULER || protocol == Worker::GO_WORK;
}

SuitableProtocols suitable_protocols(const v1::JobSpec& spec) {
  const bool originals = lack_of_originals(spec).field.empty();
  return {.clusterd = lack_of_clusterd(spec).field.empty(),
          .jobscheduler = originals && lack_of_jobscheduler(spec).field.empty(),
          .go_work = originals};
}

absl::Status check_protocol(Worker::Protocol protocol, const v1::JobSpec& spec) {
  const Lack lack = lack_of(protocol, spec);
  if (lack.field.empty()) return absl::OkStatus();
  return invalid_field(lack.field, std::string(lack.why) + " (its protocol is " +
                                       std::string(word_of(protocol)) + ")");
}

std::string payload_of(const v1::JobSpec& spec) {
  if (!spec.payload().empty()) return spec.payload();
  std::vector<std::string> words;
  if (!spec.command().empty()) words.push_back(spec.command());
  if (!spec.path().empty()) words.push_back(spec.path());
  words.insert(words.end(), spec.args().begin(), spec.args().end());
  return join_words(words);
}

absl::StatusOr<v1::JobSpec> spec_of_payload(const std::string& payload,
                                            const std::string& task_script) {
  v1::JobSpec spec;
  if (!task_script.empty()) {
    spec.set_path(task_script);
    spec.add_args(payload);
    return spec;
  }
  auto words = split_words(payload);
  if (!words.ok()) return invalid_field("payload", std::string(words.status().message()));
  if (words->empty() || words->front().empty()) {
    return invalid_field("payload", "names no script");
  }
  if (auto status = check_relative_path("payload", words->front()); !status.ok()) return status;
  spec.set_path(words->front());
  for (size_t i = 1; i < words->size(); ++i) spec.add_args(std::move((*words)[i]));
  return spec;
}

}  // namespace clusterd
