// Hot paths at the edges: the gateway, the checks of a submit, output.
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "clusterd/v1/scheduler_service.pb.h"
#include "core/config.h"
#include "core/crc32c.h"
#include "core/job_spec_check.h"
#include "core/proto_time.h"
#include "gateway/route_table.h"
#include "gateway/transcoder.h"
#include "hot_paths.h"
#include "worker/output_files.h"
#include "worker/output_log.h"

namespace clusterd::bench {
namespace {

constexpr uint64_t kFrameBytes = 256 << 10;
constexpr uint64_t kFrames = 4;

const google::protobuf::ServiceDescriptor& service() {
  return *v1::StartJobRequest::descriptor()->file()->FindServiceByName("SchedulerService");
}

// As it is answered: accepted, and given to a worker.
v1::Job answered_job() {
  v1::Job job;
  job.set_job_id(job_id(1));
  job.set_seq(1);
  *job.mutable_spec() = plain_spec();
  job.set_state(v1::Job::STARTING);
  job.set_attempt(1);
  job.set_worker_id(job_id(2));
  job.set_submitted_by("token:ci");
  *job.mutable_submit_time() = to_proto(still_time().wall);
  v1::Attempt& attempt = *job.add_attempts();
  attempt.set_number(1);
  attempt.set_worker_id(job.worker_id());
  return job;
}

// As gRPC passes a message on, without a connection.
template <typename Message>
void transfer(const Message& from, Message& to) {
  grpc::ByteBuffer buffer;
  bool owns = false;
  must(grpc::SerializationTraits<Message>::Serialize(from, &buffer, &owns).ok(), "not serialised");
  must(grpc::SerializationTraits<Message>::Deserialize(&buffer, &to).ok(), "not parsed");
}

}  // namespace

Operation json_request() {
  auto routes = gateway::RouteTable::make(service());
  must(routes.status());
  gateway::HttpRequest request;
  request.verb = "POST";
  request.path = "/v1/jobs";
  request.headers = {{"content-type", "application/json"}, {"host", "127.0.0.1:50080"}};
  request.body =
      R"({"name": "nightly", "path": "count.sh", "command": "bash", "args": ["5", "0.5"],)"
      R"( "env": {"COLOUR": "blue"}, "timeout": "60s", "labels": {"team": "data"},)"
      R"( "resources": {"slots": 1}})";
  return [routes = *std::move(routes), request = std::move(request)] {
    const auto match = routes.find(request.verb, request.path);
    must(match.status());
    const auto message = gateway::request_message(*match, request);
    must(message.status());
    v1::StartJobRequest received;
    transfer(static_cast<const v1::StartJobRequest&>(**message), received);
  };
}

Operation json_answer() {
  auto routes = gateway::RouteTable::make(service());
  must(routes.status());
  auto match = routes->find("POST", "/v1/jobs");
  must(match.status());
  const std::string location = match->route->answer.location();
  return [answer = answered_job(), location] {
    const auto message = gateway::new_message(*v1::Job::descriptor());
    transfer(answer, static_cast<v1::Job&>(*message));
    must(gateway::to_json(*message).status());
    must(!gateway::expand_location(location, *message).empty(), "no location");
  };
}

Operation spec_check() {
  // protobuf's maps are ordered by a clock of the processor: many specs have the mean of all
  // orders.
  std::vector<v1::JobSpec> specs;
  while (specs.size() < 200) specs.push_back(plain_spec());
  return [specs = std::move(specs), bounds = SchedulerConfig::Scheduling(),
          next = size_t{0}]() mutable {
    const v1::JobSpec& spec = specs[next++ % specs.size()];
    must(check_job_spec(spec));
    must(check_job_sizes(spec, bounds));
  };
}

Operation output_frame(const std::string& folder) {
  std::ofstream log(log_path(folder, v1::OutputStream::MERGED), std::ios::binary);
  for (uint64_t line = 0; line < kFrames * kFrameBytes / 64; ++line) {
    log << std::string(63, static_cast<char>('a' + line % 26)) << '\n';
  }
  log.close();
  auto opened = OutputReader::open(folder, v1::OutputStream::MERGED);
  must(opened.status());
  // AnyInvocable takes what can be moved; the reader stays where it is.
  auto reader = std::make_unique<OutputReader>(*std::move(opened));
  return [reader = std::move(reader), number = uint64_t{0}]() mutable {
    auto bytes = reader->read(number++ % kFrames * kFrameBytes, kFrameBytes);
    must(bytes.status());
    v1::StreamJobResponse sent;  // by the worker
    v1::OutputFrame& frame = *sent.mutable_frame();
    frame.set_offset(bytes->offset);
    frame.set_crc32c(crc32c(bytes->data));
    frame.set_data(std::move(bytes->data));
    v1::StreamJobResponse relayed;  // by the scheduler
    transfer(sent, relayed);
    v1::StreamJobResponse received;  // by the gateway
    transfer(relayed, received);
    must(received.frame().crc32c() == crc32c(received.frame().data()), "a sum that is wrong");
    must(received.frame().data().size() == kFrameBytes, "a frame that is short");
  };
}

}  // namespace clusterd::bench
