#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/config.h"
#include "support/scratch_folder.h"

namespace clusterd::testing {

// A real etcd of one member, in a folder of its own, on ports of its own; ends with the test, even
// where that is killed.
class EtcdServer {
 public:
  struct Options {
    // Where durability is the subject, and where it is killed: without, its log is in its memory.
    bool syncs = false;
    uint64_t quota_bytes = 2ULL << 30;
    std::vector<std::string> arguments;  // more of them
    std::string scheme = "http";         // of its clients
  };

  EtcdServer();
  explicit EtcdServer(const Options& options);
  ~EtcdServer();
  EtcdServer(const EtcdServer&) = delete;
  EtcdServer& operator=(const EtcdServer&) = delete;

  // What a scheduler is configured with.
  [[nodiscard]] SchedulerConfig::Store settings() const;
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  [[nodiscard]] std::string folder() const { return folder_ / ""; }

  void pause();   // SIGSTOP
  void resume();  // SIGCONT
  void kill();    // SIGKILL
  void start();   // again, with what it had
  // Its own command line; fails the test where that fails.
  void etcdctl(const std::string& arguments) const;

 private:
  void signal(int number) const;
  void wait_until_ready() const;

  const Options options_;
  ScratchFolder folder_;
  std::string endpoint_;
  std::string peer_;
  pid_t pid_ = -1;
};

}  // namespace clusterd::testing
