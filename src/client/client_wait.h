#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/client_operation.h"

namespace clusterd {

// Client::wait: one WaitJob after the other until the job has ended.
class WaitOperation final : public ClientOperation {
 public:
  using Done = std::function<void(absl::StatusOr<v1::Job>)>;

  WaitOperation(ClientShared& shared, std::string job_id, Done done,
                std::optional<std::chrono::nanoseconds> deadline);

  void begin(const std::stop_token& stop);

 private:
  void queried(absl::StatusOr<v1::Job> job);
  void ask();
  void answered(absl::StatusOr<v1::Job> job);
  void finish(absl::StatusOr<v1::Job> result);

  const std::string job_id_;
  Done done_;
  std::stop_token stop_;
  Time last_good_;
  bool answered_ = false;  // some scheduler, ever
};

}  // namespace clusterd
