// Draws pictures, has thumbnails made of them by the cluster, and glues those together.
//
//   make_thumbnails FOLDER [COUNT]      CLUSTERD_ADDR and so on say where the scheduler is
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <thread>

#include "clusterd/client.h"
#include "clusterd/job_states.h"
#include "picture.h"

namespace {

namespace v1 = clusterd::v1;

absl::Status draw(const std::string& folder, uint32_t count) {
  Picture picture{96, 64, {}};
  picture.pixels.resize(size_t{4} * picture.width * picture.height);
  for (uint32_t i = 0; i < count; ++i) {
    for (size_t at = 0; at < picture.pixels.size(); at += 4) {
      picture.pixels[at] = static_cast<uint8_t>(at / 4 % picture.width * 2);
      picture.pixels[at + 1] = static_cast<uint8_t>(i * 7);
      picture.pixels[at + 2] = static_cast<uint8_t>(at / 4 / picture.width * 4);
      picture.pixels[at + 3] = 255;
    }
    const absl::Status status = write_png(folder + "/" + std::to_string(i) + ".png", picture);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// Tells how far the job is until it has ended.
absl::StatusOr<v1::Job> wait_and_tell(clusterd::Client& client, const std::string& job_id) {
  while (true) {
    auto job = client.wait(job_id, {.deadline = std::chrono::milliseconds(200)});
    if (job.ok() || !absl::IsDeadlineExceeded(job.status())) {
      std::cerr << "\n";
      return job;
    }
    const auto now = client.query(job_id);
    if (!now.ok()) return now;
    if (now->task_counts().empty()) {
      std::cerr << "\r" << now->progress().done() << " of " << now->progress().total() << " "
                << now->progress().message() << std::flush;
      continue;
    }
    uint64_t all = 0;
    for (const auto& [state, number] : now->task_counts()) all += number;
    const auto done = now->task_counts().find("SUCCEEDED");
    std::cerr << "\r" << (done == now->task_counts().end() ? 0 : done->second) << " of " << all
              << std::flush;
  }
}

absl::Status check(const absl::StatusOr<v1::Job>& job) {
  if (!job.ok()) return job.status();
  if (job->state() == v1::Job::SUCCEEDED) return absl::OkStatus();
  return absl::AbortedError("job " + job->job_id() + " " +
                            std::string(clusterd::name_of(job->state())) + ": " +
                            job->end().message());
}

absl::Status run(const std::string& folder, uint32_t count) {
  std::filesystem::create_directories(folder + "/pictures");
  std::filesystem::create_directories(folder + "/thumbnails");
  if (auto status = draw(folder + "/pictures", count); !status.ok()) return status;
  auto client = clusterd::Client::make(clusterd::client_options_from_environment());
  if (!client.ok()) return client.status();

  const auto begin = std::chrono::steady_clock::now();
  v1::StartJobRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_name("thumbnails");
  spec.set_handler("thumbnail");
  for (const std::string& argument :
       {folder + "/pictures", folder + "/thumbnails", std::string("32")}) {
    spec.add_args(argument);
  }
  spec.mutable_array()->set_to(count - 1);
  spec.mutable_retry()->set_max_attempts(3);
  spec.mutable_retry()->add_on(v1::RetryPolicy::LOSS);
  auto array = (*client)->start(request);
  if (array.ok()) array = wait_and_tell(**client, array->job_id());
  if (auto status = check(array); !status.ok()) return status;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << count << " thumbnails in " << took.count() << " s\n";

  v1::StartJobRequest sheet;
  sheet.mutable_spec()->set_handler("sheet");
  sheet.mutable_spec()->add_args(folder + "/thumbnails");
  sheet.mutable_spec()->add_args(std::to_string(count));
  sheet.mutable_spec()->add_args(folder + "/sheet.png");
  auto job = (*client)->start(sheet);
  if (!job.ok()) return job.status();
  const auto output = (*client)->follow(job->job_id(), [](const clusterd::OutputChunk& chunk) {
    std::cout << chunk.bytes << std::flush;
    return absl::OkStatus();
  });
  if (!output.ok()) return output.status();
  return check(wait_and_tell(**client, job->job_id()));
}

}  // namespace

int main(int argc, char** argv) {
  const uint32_t count = argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1000;
  if (argc < 2 || count == 0) {
    std::cerr << "usage: make_thumbnails FOLDER [COUNT]\n";
    return 64;
  }
  const absl::Status status = run(std::filesystem::absolute(argv[1]).string(), count);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
