// The role table: complete, as documented, and with nothing that does not exist.
#include "rpc/authorization.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "clusterd/v1/cluster_service.pb.h"
#include "clusterd/v1/scheduler_service.pb.h"
#include "clusterd/v1/worker_service.pb.h"
#include "compat/cluster.pb.h"
#include "compat/jobscheduler.pb.h"
#include "compat/scheduler.pb.h"
#include "compat/worker.pb.h"

namespace clusterd {
namespace {

using google::protobuf::FileDescriptor;

// Every RPC of the services of some files, as gRPC writes it.
std::set<std::string> methods_of(const std::vector<const FileDescriptor*>& files) {
  std::set<std::string> methods;
  for (const FileDescriptor* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        methods.insert("/" + service.full_name() + "/" + service.method(m)->name());
      }
    }
  }
  return methods;
}

// Ours and those of the two original contracts.
std::set<std::string> methods_of_ours() {
  return methods_of({v1::StartJobRequest::descriptor()->file(),
                     v1::RegisterWorkerRequest::descriptor()->file(),
                     v1::StartJobsRequest::descriptor()->file(),
                     ::jobscheduler::RegisterReq::descriptor()->file(),
                     ::cluster::v1::JoinRequest::descriptor()->file(),
                     ::scheduler::v1::GetTasksRequest::descriptor()->file(),
                     ::worker::v1::StartWorkRequest::descriptor()->file()});
}

Identity with(Role role) { return {.role = role, .name = "x", .cluster = "c"}; }

TEST_CASE("every RPC has its line in the table, and only one", "[authorization]") {
  std::map<std::string, int> lines;
  for (const MethodRule& rule : method_rules()) ++lines[std::string(rule.method)];

  for (const std::string& method : methods_of_ours()) {
    INFO(method);
    CHECK(lines[method] == 1);
  }
  for (const auto& [method, count] : lines) {
    INFO(method);
    CHECK(count == 1);
  }
}

TEST_CASE("a line of the table names an RPC that exists", "[authorization]") {
  const std::set<std::string> existing = methods_of_ours();
  for (const MethodRule& rule : method_rules()) {
    if (rule.method.starts_with("/grpc.")) continue;  // health and reflection, gRPC's own
    INFO(rule.method);
    CHECK(existing.contains(std::string(rule.method)));
  }
}

// "| `service/method` | | yes | …": the roles with a yes, in the order of kAllRoles.
std::map<std::string, std::vector<bool>> documented_table() {
  std::ifstream stream(std::string(CLUSTERD_SOURCE_DIR) + "/docs/security.md");
  std::map<std::string, std::vector<bool>> table;
  for (std::string line; std::getline(stream, line);) {
    const size_t end = line.find("` |");
    if (!line.starts_with("| `") || line.find('/') > end || line.starts_with("| `spiffe")) continue;
    std::vector<bool> roles;
    std::istringstream cells(line.substr(end + 3));
    for (std::string cell; std::getline(cells, cell, '|');) {
      roles.push_back(cell.find("yes") != std::string::npos);
    }
    table["/" + line.substr(3, end - 3)] = roles;
  }
  return table;
}

TEST_CASE("the manual has the same table", "[authorization]") {
  std::map<std::string, std::vector<bool>> ours;
  for (const MethodRule& rule : method_rules()) {
    for (const Role role : kAllRoles) {
      ours[std::string(rule.method)].push_back(authorize(rule.method, with(role)).ok());
    }
  }

  CHECK(documented_table() == ours);
}

TEST_CASE("a caller is refused what its role does not have, and told why", "[authorization]") {
  const absl::Status status =
      authorize("/clusterd.v1.SchedulerService/StartJob", with(Role::kReader));

  CHECK(status.code() == absl::StatusCode::kPermissionDenied);
  CHECK(status.message() ==
        "client/reader/x may not call /clusterd.v1.SchedulerService/StartJob: it takes the role "
        "operator or admin");
  CHECK(authorize("/clusterd.v1.SchedulerService/StartJob", with(Role::kOperator)).ok());
}

TEST_CASE("a worker submits nothing and obeys only a scheduler", "[authorization]") {
  for (const MethodRule& rule : method_rules()) {
    INFO(rule.method);
    if (rule.method.starts_with("/clusterd.v1.SchedulerService/")) {
      CHECK_FALSE(authorize(rule.method, with(Role::kWorker)).ok());
      CHECK_FALSE(authorize(rule.method, with(Role::kScheduler)).ok());
    }
    if (rule.method.starts_with("/clusterd.v1.WorkerService/")) {
      for (const Role role : kAllRoles) {
        CHECK(authorize(rule.method, with(role)).ok() == (role == Role::kScheduler));
      }
    }
  }
}

TEST_CASE("where nothing is asked for, everybody may do everything", "[authorization]") {
  for (const MethodRule& rule : method_rules())
    CHECK(authorize(rule.method, anonymous_admin()).ok());
  CHECK_FALSE(authorize("/clusterd.v1.SchedulerService/Format", anonymous_admin()).ok());
}

TEST_CASE("an unknown method is nobody's", "[authorization]") {
  for (const Role role : kAllRoles) {
    CHECK(authorize("/clusterd.v1.SchedulerService/Format", with(role)).code() ==
          absl::StatusCode::kPermissionDenied);
  }
}

}  // namespace
}  // namespace clusterd
