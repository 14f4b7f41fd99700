#include "cli/queue_spec_builder.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cctype>
#include <regex>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/job_spec_builder.h"
#include "core/proto_time.h"
#include "core/units.h"

namespace clusterd {
namespace {

absl::Status bad(std::string_view option, const std::string& value, std::string_view allowed) {
  return absl::InvalidArgumentError(std::string(option) + ": \"" + value + "\" is not " +
                                    std::string(allowed));
}

bool parse_index(const std::string& text, uint32_t& index) {
  return text.empty() || absl::SimpleAtoi(text, &index);
}

absl::Status add_array(const std::string& text, v1::JobSpec& spec) {
  if (text.empty()) return absl::OkStatus();
  static const std::regex kForm("([0-9]+)-([0-9]+)(?::([0-9]+))?(?:%([0-9]+))?");
  std::smatch parts;
  uint32_t from = 0;
  uint32_t to = 0;
  uint32_t step = 0;
  uint32_t most = 0;
  const bool understood = std::regex_match(text, parts, kForm) && parse_index(parts[1], from) &&
                          parse_index(parts[2], to) && parse_index(parts[3], step) &&
                          parse_index(parts[4], most);
  if (!understood) {
    return bad("--array", text, "of the form FROM-TO[:STEP][%MAX], as 1-100:2%10");
  }
  v1::ArraySpec& array = *spec.mutable_array();
  array.set_from(from);
  array.set_to(to);
  array.set_step(step);
  array.set_max_parallel(most);
  return absl::OkStatus();
}

absl::Status add_duration(std::string_view option, const std::string& text,
                          google::protobuf::Duration* (v1::JobSpec::*field)(), v1::JobSpec& spec) {
  if (text.empty()) return absl::OkStatus();
  const auto duration = parse_duration_option(option, text);
  if (!duration.ok()) return duration.status();
  *(spec.*field)() = to_proto(*duration);
  return absl::OkStatus();
}

absl::Status add_times(const QueueFlags& flags, v1::JobSpec& spec) {
  using Spec = v1::JobSpec;
  absl::Status status =
      add_duration("--start-delay", flags.start_delay, &Spec::mutable_start_delay, spec);
  status.Update(
      add_duration("--queue-timeout", flags.queue_timeout, &Spec::mutable_queue_timeout, spec));
  status.Update(add_duration("--lost-after", flags.lost_after, &Spec::mutable_lost_after, spec));
  if (!status.ok() || flags.start_at.empty()) return status;
  if (!google::protobuf::util::TimeUtil::FromString(flags.start_at, spec.mutable_start_at())) {
    return bad("--start-at", flags.start_at, "a time as 2026-01-31T08:00:00Z");
  }
  return absl::OkStatus();
}

absl::Status add_resources(const QueueFlags& flags, v1::JobSpec& spec) {
  v1::Resources& wants = *spec.mutable_resources();
  wants.set_slots(flags.slots);
  wants.set_cpus(flags.cpus);
  wants.set_every_worker(flags.every_worker);
  wants.set_exclusive(flags.exclusive);
  for (const std::string& entry : flags.resources) {
    const size_t equals = entry.find('=');
    uint32_t count = 0;
    if (equals == std::string::npos || equals == 0 ||
        !absl::SimpleAtoi(entry.substr(equals + 1), &count)) {
      return bad("--resource", entry, "of the form NAME=N, as gpu=1");
    }
    const std::string name = entry.substr(0, equals);
    if (!wants.mutable_custom()->insert({name, count}).second) {
      return bad("--resource", entry, "the only one of \"" + name + "\"");
    }
  }
  if (flags.memory.empty()) return absl::OkStatus();
  const auto size = parse_size(flags.memory);
  if (!size.ok()) return bad("--memory", flags.memory, "a size as 512MiB");
  wants.set_memory_bytes(*size);
  return absl::OkStatus();
}

absl::Status add_preferences(const QueueFlags& flags, v1::JobSpec& spec) {
  for (const std::string& entry : flags.prefer) {
    const size_t colon = entry.rfind(':');
    const size_t end = colon != std::string::npos ? colon : entry.rfind('=');
    int32_t weight = 0;
    if (end == std::string::npos || end == 0 || !absl::SimpleAtoi(entry.substr(end + 1), &weight)) {
      return bad("--prefer", entry, "of the form EXPR:WEIGHT, as zone=a:10");
    }
    v1::Preference& preference = *spec.add_prefer();
    preference.set_match(entry.substr(0, end));
    preference.set_weight(weight);
  }
  return absl::OkStatus();
}

// "start-failure" as START_FAILURE.
std::string enumerator(std::string word) {
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(c));
  });
  return word;
}

absl::Status add_after(const QueueFlags& flags, v1::JobSpec& spec) {
  for (const std::string& entry : flags.after) {
    const size_t colon = entry.find(':');
    v1::Dependency& dependency = *spec.add_after();
    dependency.set_job_id(entry.substr(0, colon));
    v1::Dependency::On on = v1::Dependency::SUCCESS;
    if (colon != std::string::npos &&
        !v1::Dependency::On_Parse(enumerator(entry.substr(colon + 1)), &on)) {
      return bad("--after", entry, "ID, ID:success, ID:any or ID:failure");
    }
    dependency.set_on(on);
  }
  return absl::OkStatus();
}

absl::Status add_retry(const QueueFlags& flags, v1::JobSpec& spec) {
  const bool wanted = flags.max_attempts > 0 || !flags.retry_on.empty() || !flags.backoff.empty() ||
                      flags.allow_overlap || flags.max_losses > 0;
  if (!wanted) return absl::OkStatus();
  v1::RetryPolicy& retry = *spec.mutable_retry();
  retry.set_max_attempts(flags.max_attempts);
  retry.set_allow_overlap(flags.allow_overlap);
  retry.set_max_losses(flags.max_losses);
  for (const std::string& word : flags.retry_on) {
    v1::RetryPolicy::On on = v1::RetryPolicy::ON_UNSPECIFIED;
    if (!v1::RetryPolicy::On_Parse(enumerator(word), &on) ||
        on == v1::RetryPolicy::ON_UNSPECIFIED) {
      return bad("--retry-on", word, "failure, timeout, loss or start-failure");
    }
    retry.add_on(on);
  }
  // Attempts without a word on what they are for: for whatever is not a wish to stop.
  if (flags.max_attempts > 1 && flags.retry_on.empty()) {
    for (const auto on : {v1::RetryPolicy::FAILURE, v1::RetryPolicy::TIMEOUT, v1::RetryPolicy::LOSS,
                          v1::RetryPolicy::START_FAILURE}) {
      retry.add_on(on);
    }
  }
  if (flags.backoff.empty()) return absl::OkStatus();
  const auto backoff = parse_duration_option("--backoff", flags.backoff);
  if (!backoff.ok()) return backoff.status();
  *retry.mutable_backoff() = to_proto(*backoff);
  return absl::OkStatus();
}

}  // namespace

absl::Status add_queueing(const QueueFlags& flags, v1::JobSpec& spec) {
  absl::Status status = add_array(flags.array, spec);
  if (status.ok()) status = add_resources(flags, spec);
  if (status.ok()) status = add_preferences(flags, spec);
  if (status.ok()) status = add_times(flags, spec);
  if (status.ok()) status = add_after(flags, spec);
  if (status.ok()) status = add_retry(flags, spec);
  spec.mutable_require()->Assign(flags.require.begin(), flags.require.end());
  spec.set_queue(flags.queue);
  spec.set_pack(flags.pack);
  spec.mutable_tolerate()->Assign(flags.tolerate.begin(), flags.tolerate.end());
  if (flags.gang > 0) {
    spec.mutable_gang()->set_size(flags.gang);
    if (flags.gang_goes_on) spec.mutable_gang()->set_on_failure(v1::GangSpec::CONTINUE);
  }
  return status;
}

}  // namespace clusterd
