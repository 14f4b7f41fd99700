// What a program does with clusterd/client.h, for tests/e2e/library_test.py:
//
//   library_client many COUNT       starts COUNT jobs with callbacks, waits for all, from 8 threads
//   library_client follow JOB       writes its output as it comes; the end on standard error
//   library_client start HANDLER…   starts one and prints its id
//   library_client wait JOB MS      waits so long and prints the state or the error
//   library_client watch COUNT      prints the jobs' states of COUNT events
//   library_client cancel JOB       cancels a wait from another thread, and one by the destructor
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "clusterd/client.h"
#include "clusterd/job_states.h"

namespace {

using clusterd::Client;
namespace v1 = clusterd::v1;

v1::StartJobRequest request_of(const std::vector<std::string>& words) {
  v1::StartJobRequest request;
  request.mutable_spec()->set_handler(words.at(0));
  for (size_t i = 1; i < words.size(); ++i) request.mutable_spec()->add_args(words[i]);
  return request;
}

int many(Client& client, int count) {
  constexpr int kThreads = 8;
  std::mutex mutex;
  std::condition_variable changed;
  int ended = 0;
  std::atomic<int> succeeded = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int n = t; n < count; n += kThreads) {
        const auto one_more = [&] {
          const std::lock_guard lock(mutex);
          ++ended;
          changed.notify_all();
        };
        client.start_async(request_of({"conformance", "echo", std::to_string(n)}),
                           [&, one_more](absl::StatusOr<v1::Job> job) {
                             if (!job.ok()) {
                               std::cerr << job.status() << "\n";
                               return one_more();
                             }
                             client.wait_async(
                                 job->job_id(), [&, one_more](absl::StatusOr<v1::Job> end) {
                                   if (!end.ok()) std::cerr << end.status() << "\n";
                                   if (end.ok() && end->state() == v1::Job::SUCCEEDED) {
                                     ++succeeded;
                                   }
                                   one_more();
                                 });
                           });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended == count; });
  std::cout << succeeded << " succeeded\n";
  return succeeded == count ? 0 : 1;
}

int follow(Client& client, const std::string& job_id) {
  uint64_t at = 0;
  const auto end = client.follow(job_id, [&at](const clusterd::OutputChunk& chunk) {
    if (chunk.offset != at + chunk.skipped) return absl::DataLossError("a gap");
    at = chunk.offset + chunk.bytes.size();
    std::cout << chunk.bytes << std::flush;
    return absl::OkStatus();
  });
  if (!end.ok()) std::cerr << end.status() << "\n";
  return end.ok() && end->total_bytes() == at ? 0 : 1;
}

int cancel(std::unique_ptr<Client> client, const std::string& job_id) {
  std::stop_source stop;
  std::thread other([&stop] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    stop.request_stop();
  });
  const auto stopped = client->wait(job_id, {.stop = stop.get_token()});
  other.join();
  std::cout << absl::StatusCodeToString(stopped.status().code()) << "\n";
  std::atomic<int> ends = 0;
  client->wait_async(job_id, [&ends](const absl::StatusOr<v1::Job>& job) {
    ends += absl::IsCancelled(job.status()) ? 1 : 0;
  });
  client->follow_async(
      job_id, [](const clusterd::OutputChunk&) { return absl::OkStatus(); },
      [&ends](const absl::StatusOr<v1::OutputEnd>& end) {
        ends += absl::IsCancelled(end.status()) ? 1 : 0;
      });
  client.reset();
  std::cout << ends << " cancelled\n";
  return 0;
}

int run(std::unique_ptr<Client> client, const std::vector<std::string>& words) {
  const std::string& what = words.at(0);
  if (what == "many") return many(*client, std::stoi(words.at(1)));
  if (what == "follow") return follow(*client, words.at(1));
  if (what == "cancel") return cancel(std::move(client), words.at(1));
  if (what == "start") {
    const auto job = client->start(request_of({words.begin() + 1, words.end()}));
    std::cout << (job.ok() ? job->job_id() : job.status().ToString()) << "\n";
    return job.ok() ? 0 : 1;
  }
  if (what == "wait") {
    const auto job =
        client->wait(words.at(1), {.deadline = std::chrono::milliseconds(std::stoi(words.at(2)))});
    std::cout << (job.ok() ? std::string(clusterd::name_of(job->state()))
                           : absl::StatusCodeToString(job.status().code()))
              << "\n";
    return 0;
  }
  int left = std::stoi(words.at(1));
  const absl::Status ended = client->watch(0, [&left](const v1::Event& event) {
    if (event.has_job()) {
      std::cout << clusterd::name_of(event.job().state()) << std::endl;
    }
    return event.has_job() && --left == 0 ? absl::OutOfRangeError("enough") : absl::OkStatus();
  });
  return absl::IsOutOfRange(ended) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  auto client = Client::make(clusterd::client_options_from_environment());
  if (!client.ok()) {
    std::cerr << client.status() << "\n";
    return 64;
  }
  return run(*std::move(client), {argv + 1, argv + argc});
}
