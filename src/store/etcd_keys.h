#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace clusterd {

// Names of the keys of a store in etcd (docs/formats.md#etcd). Immutable; any thread.
class EtcdKeys {
 public:
  explicit EtcdKeys(std::string prefix) : prefix_(std::move(prefix)) {}

  [[nodiscard]] const std::string& all() const { return prefix_; }
  [[nodiscard]] std::string format() const { return prefix_ + "format"; }
  [[nodiscard]] std::string meta() const { return prefix_ + "meta"; }
  // Raised by each transaction.
  [[nodiscard]] std::string counter() const { return prefix_ + "commits"; }
  // While an archive is read into the store.
  [[nodiscard]] std::string importing() const { return prefix_ + "importing"; }

  // The folders, each with its '/'.
  [[nodiscard]] std::string jobs() const { return prefix_ + "jobs/"; }
  [[nodiscard]] std::string tasks() const { return prefix_ + "tasks/"; }
  [[nodiscard]] std::string workers() const { return prefix_ + "workers/"; }
  [[nodiscard]] std::string requests() const { return prefix_ + "requests/"; }
  [[nodiscard]] std::string schedules() const { return prefix_ + "schedules/"; }
  [[nodiscard]] std::string queues() const { return prefix_ + "queues/"; }
  [[nodiscard]] std::string events() const { return prefix_ + "events/"; }
  [[nodiscard]] std::string sweeps() const { return prefix_ + "sweeps/"; }
  [[nodiscard]] std::string doomed() const { return prefix_ + "doomed/"; }
  [[nodiscard]] std::string set_aside() const { return prefix_ + "set_aside/"; }
  [[nodiscard]] std::string staged() const { return prefix_ + "staged/"; }

  // Of a job, or of a task, which lies below its array.
  [[nodiscard]] std::string job(std::string_view job_id) const;
  [[nodiscard]] std::string tasks_of(std::string_view array_id) const;
  [[nodiscard]] std::string task(std::string_view array_id, uint32_t index) const;
  // Of events of which this is the last.
  [[nodiscard]] std::string event(uint64_t seq) const;
  [[nodiscard]] std::string doomed_on(std::string_view worker_id) const;
  [[nodiscard]] std::string doomed(std::string_view worker_id, std::string_view job_id) const;
  [[nodiscard]] std::string staged_parts() const { return prefix_ + "staged/part/"; }
  [[nodiscard]] std::string staged_part(size_t number) const;
  // Says that the parts of a commit are all there.
  [[nodiscard]] std::string staged_whole() const { return prefix_ + "staged/whole"; }

  // The task's id that a key below tasks() stands for; nullopt: it is not of that form.
  [[nodiscard]] std::optional<std::string> task_id_in(std::string_view key) const;

 private:
  const std::string prefix_;
};

}  // namespace clusterd
