#include "cli/run_dev.h"

#include <cstdio>

#include "cli/dev_config.h"
#include "cli/exit_codes.h"
#include "cli/local_cluster.h"

namespace clusterd {
namespace {

void print_ready(const LocalCluster& cluster, const DevCommand& command) {
  std::printf("clusterd dev: http://%s, scheduler %s, scripts in %s; Ctrl-C stops all\n",
              cluster.http_addr().c_str(), cluster.grpc_addr().c_str(),
              command.scripts_dir.c_str());
  std::fflush(stdout);
}

}  // namespace

int run(const DevCommand& command) {
  if (const absl::Status status = check_dev(command); !status.ok()) return report_error(status);
  LocalCluster cluster(command, "dev");
  absl::Status status = cluster.begin();
  if (status.ok()) status = cluster.start();
  const bool is_interrupted = absl::IsCancelled(status);
  if (status.ok()) {
    print_ready(cluster, command);
    status = cluster.wait_for_signal();
  }
  const int code = status.ok() || is_interrupted ? kExitOk : report_error(status);
  cluster.end();
  return code;
}

}  // namespace clusterd
