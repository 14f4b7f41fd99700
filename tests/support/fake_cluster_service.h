#pragma once

#include <grpcpp/server_context.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "clusterd/v1/cluster_service.grpc.pb.h"

namespace clusterd {

// A scheduler that admits every worker, acknowledges every end and remembers what it was told.
// Any thread.
class FakeClusterService final : public v1::ClusterService::Service {
 public:
  grpc::Status RegisterWorker(grpc::ServerContext* /*context*/,
                              const v1::RegisterWorkerRequest* request,
                              v1::RegisterWorkerResponse* response) override {
    const std::lock_guard lock(mutex_);
    registrations_.push_back(*request);
    response->set_worker_id("11111111-2222-4333-8444-555555555555");
    response->set_secret("secret");
    response->set_name(request->name());
    response->set_epoch(1);
    response->mutable_heartbeat_interval()->set_nanos(20'000'000);
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status DeregisterWorker(grpc::ServerContext* /*context*/,
                                const v1::DeregisterWorkerRequest* request,
                                v1::DeregisterWorkerResponse* /*response*/) override {
    const std::lock_guard lock(mutex_);
    deregistrations_.push_back(*request);
    changed_.notify_all();
    return grpc::Status::OK;
  }

  grpc::Status Session(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>* stream) override {
    v1::SessionRequest request;
    if (!stream->Read(&request) || !request.has_hello()) return grpc::Status::CANCELLED;
    v1::SessionResponse response;
    {
      const std::lock_guard lock(mutex_);
      hello_ = request.hello();
      context_ = context;
      response.set_epoch(1);
      response.set_session(++session_);
    }
    response.mutable_welcome()->set_epoch(1);
    response.mutable_welcome()->set_session(response.session());
    stream->Write(response);
    while (stream->Read(&request)) {
      response.clear_message();
      const std::lock_guard lock(mutex_);
      if (request.has_heartbeat()) {
        ++heartbeats_;
        response.mutable_heartbeat()->set_number(request.heartbeat().number());
      }
      for (const v1::JobEvent& event : request.events().events()) {
        events_.push_back(event);
        if (event.has_ended()) *response.mutable_acknowledged()->add_keys() = event.key();
      }
      changed_.notify_all();
      if (response.message_case() != v1::SessionResponse::MESSAGE_NOT_SET) stream->Write(response);
    }
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
    return grpc::Status::OK;
  }

  // Cuts the session that is open.
  void cut() {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }

  // False where 30 s pass before `met` holds; it may look at everything below.
  bool wait(const std::function<bool()>& met) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), met);
  }

  bool wait_for_session(uint64_t number) {
    return wait([this, number] { return session_ >= number && heartbeats_ > 0; });
  }

  // The event of this kind of a job; waits for it.
  v1::JobEvent event(const std::string& job_id, v1::JobEvent::EventCase kind) {
    v1::JobEvent found;
    (void)wait([&] {
      for (const v1::JobEvent& event : events_) {
        if (event.key().job_id() != job_id || event.event_case() != kind) continue;
        found = event;
        return true;
      }
      return false;
    });
    return found;
  }

  uint64_t session() {
    const std::lock_guard lock(mutex_);
    return session_;
  }
  v1::SessionHello hello() {
    const std::lock_guard lock(mutex_);
    return hello_;
  }
  std::vector<v1::DeregisterWorkerRequest> deregistrations() {
    const std::lock_guard lock(mutex_);
    return deregistrations_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<v1::RegisterWorkerRequest> registrations_;
  std::vector<v1::DeregisterWorkerRequest> deregistrations_;
  std::vector<v1::JobEvent> events_;
  v1::SessionHello hello_;
  grpc::ServerContext* context_ = nullptr;
  uint64_t session_ = 0;
  uint64_t heartbeats_ = 0;
};

}  // namespace clusterd
