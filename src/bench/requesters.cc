#include "bench/requesters.h"

#include <memory>
#include <utility>

namespace clusterd::bench {

absl::StatusOr<MakeRequester> submit_over_http(const BenchRun& run, const v1::JobSpec& spec,
                                               JobSink sink) {
  auto body = to_body(spec);
  if (!body.ok()) return body.status();
  return [&run, body = *std::move(body), sink = std::move(sink)]() -> absl::StatusOr<Requester> {
    auto made = run.http();
    if (!made.ok()) return made.status();
    // Shared by the copies of one function alone.
    const std::shared_ptr<HttpConnection> http = *std::move(made);
    return [http, body, sink](uint64_t) -> absl::Status {
      auto job_id = submit(*http, body);
      if (job_id.ok() && sink) sink(*std::move(job_id));
      return job_id.status();
    };
  };
}

absl::StatusOr<MakeRequester> submit_over_grpc(const BenchRun& run, const v1::JobSpec& spec,
                                               JobSink sink) {
  v1::StartJobRequest request;
  *request.mutable_spec() = spec;
  return [&run, request, sink = std::move(sink)]() -> absl::StatusOr<Requester> {
    auto made = run.client();
    if (!made.ok()) return made.status();
    const std::shared_ptr<Client> client = *std::move(made);  // as above
    // The first call connects.
    const auto workers =
        client->list_workers({.deadline = kCallTimeout, .stop = run.stop().token()});
    if (!workers.ok()) return workers.status();
    return [client, request, sink](uint64_t) -> absl::Status {
      auto job = client->start(request, {.deadline = kCallTimeout});
      if (!job.ok()) return job.status();
      if (job->job_id().empty()) return absl::DataLossError("the answer to a submit names no job");
      if (sink) sink(std::move(*job->mutable_job_id()));
      return absl::OkStatus();
    };
  };
}

}  // namespace clusterd::bench
