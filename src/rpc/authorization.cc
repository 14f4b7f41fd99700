#include "rpc/authorization.h"

#include <algorithm>
#include <array>
#include <string>

namespace clusterd {
namespace {

constexpr RoleSet kSchedulers(Role::kScheduler);
constexpr RoleSet kWorkers(Role::kWorker);
constexpr RoleSet kClients(Role::kReader, Role::kOperator, Role::kAdmin);
constexpr RoleSet kOperators(Role::kOperator, Role::kAdmin);
constexpr RoleSet kAdmins(Role::kAdmin);
constexpr RoleSet kEverybody(Role::kScheduler, Role::kWorker, Role::kReader, Role::kOperator,
                             Role::kAdmin);

constexpr auto kRules = std::to_array<MethodRule>({
    // Looking.
    {"/clusterd.v1.SchedulerService/QueryJob", kClients},
    {"/clusterd.v1.SchedulerService/StreamJob", kClients},
    {"/clusterd.v1.SchedulerService/WaitJob", kClients},
    {"/clusterd.v1.SchedulerService/WaitJobs", kClients},
    {"/clusterd.v1.SchedulerService/ListJobs", kClients},
    {"/clusterd.v1.SchedulerService/ListTasks", kClients},
    {"/clusterd.v1.SchedulerService/ExplainJob", kClients},
    {"/clusterd.v1.SchedulerService/ListWorkers", kClients},
    {"/clusterd.v1.SchedulerService/GetWorker", kClients},
    {"/clusterd.v1.SchedulerService/ListScripts", kClients},
    {"/clusterd.v1.SchedulerService/WatchEvents", kClients},
    {"/clusterd.v1.SchedulerService/GetCluster", kClients},
    {"/clusterd.v1.SchedulerService/ListSchedules", kClients},
    {"/clusterd.v1.SchedulerService/GetSchedule", kClients},
    {"/clusterd.v1.SchedulerService/ListQueues", kClients},
    {"/clusterd.v1.SchedulerService/GetQueue", kClients},
    // Running jobs.
    {"/clusterd.v1.SchedulerService/StartJob", kOperators},
    {"/clusterd.v1.SchedulerService/StopJob", kOperators},
    {"/clusterd.v1.SchedulerService/SignalJob", kOperators},
    {"/clusterd.v1.SchedulerService/RetryJob", kOperators},
    {"/clusterd.v1.SchedulerService/DeleteJob", kOperators},
    {"/clusterd.v1.SchedulerService/StopMatchingJobs", kOperators},
    {"/clusterd.v1.SchedulerService/RetryMatchingJobs", kOperators},
    {"/clusterd.v1.SchedulerService/CreateSchedule", kOperators},
    {"/clusterd.v1.SchedulerService/UpdateSchedule", kOperators},
    {"/clusterd.v1.SchedulerService/PauseSchedule", kOperators},
    {"/clusterd.v1.SchedulerService/ResumeSchedule", kOperators},
    {"/clusterd.v1.SchedulerService/TriggerSchedule", kOperators},
    {"/clusterd.v1.SchedulerService/DeleteSchedule", kOperators},
    // Steering machines.
    {"/clusterd.v1.SchedulerService/DrainWorker", kAdmins},
    {"/clusterd.v1.SchedulerService/ResumeWorker", kAdmins},
    {"/clusterd.v1.SchedulerService/RemoveWorker", kAdmins},
    // Steering queues.
    {"/clusterd.v1.SchedulerService/SetQueue", kAdmins},
    {"/clusterd.v1.SchedulerService/PauseQueue", kAdmins},
    {"/clusterd.v1.SchedulerService/ResumeQueue", kAdmins},
    {"/clusterd.v1.SchedulerService/DeleteQueue", kAdmins},
    // Membership.
    {"/clusterd.v1.ClusterService/RegisterWorker", kWorkers},
    {"/clusterd.v1.ClusterService/DeregisterWorker", kWorkers},
    {"/clusterd.v1.ClusterService/Session", kWorkers},
    // Orders to a worker.
    {"/clusterd.v1.WorkerService/Identify", kSchedulers},
    {"/clusterd.v1.WorkerService/StartJob", kSchedulers},
    {"/clusterd.v1.WorkerService/StartJobs", kSchedulers},
    {"/clusterd.v1.WorkerService/StopJobs", kSchedulers},
    {"/clusterd.v1.WorkerService/SignalJob", kSchedulers},
    {"/clusterd.v1.WorkerService/QueryJob", kSchedulers},
    {"/clusterd.v1.WorkerService/StreamJob", kSchedulers},
    {"/clusterd.v1.WorkerService/ListJobs", kSchedulers},
    {"/clusterd.v1.WorkerService/ListScripts", kSchedulers},
    // The first original: workers register, and take orders.
    {"/jobscheduler.Scheduler/RegisterWorker", kWorkers},
    {"/jobscheduler.Scheduler/DeregisterWorker", kWorkers},
    {"/jobscheduler.Worker/StartJob", kSchedulers},
    {"/jobscheduler.Worker/StopJob", kSchedulers},
    {"/jobscheduler.Worker/QueryJob", kSchedulers},
    {"/jobscheduler.Worker/StreamJob", kSchedulers},
    // The second: members, tasks, and their orders.
    {"/cluster.v1.LeaderService/Join", kWorkers},
    {"/cluster.v1.LeaderService/Leave", kWorkers},
    {"/cluster.v1.LeaderService/Heartbeat", kWorkers},
    {"/cluster.v1.LeaderService/Members", kClients},
    {"/scheduler.v1.SchedulerService/ScheduleTask", kOperators},
    {"/scheduler.v1.SchedulerService/CancelTask", kOperators},
    {"/scheduler.v1.SchedulerService/GetTasks", kClients},
    {"/scheduler.v1.SchedulerService/TaskComplete", kWorkers},
    {"/worker.v1.WorkerService/StartWork", kSchedulers},
    {"/worker.v1.WorkerService/StopWork", kSchedulers},
    // Probes, and what the services look like, which is no secret.
    {"/grpc.health.v1.Health/Check", kEverybody},
    {"/grpc.health.v1.Health/Watch", kEverybody},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kEverybody},
});

}  // namespace

std::span<const MethodRule> method_rules() { return kRules; }

absl::Status authorize(std::string_view method, const Identity& identity) {
  const auto* const rule =
      std::find_if(kRules.begin(), kRules.end(),
                   [method](const MethodRule& candidate) { return candidate.method == method; });
  const std::string refusal = identity.text() + " may not call " + std::string(method);
  if (rule == kRules.end()) return absl::PermissionDeniedError(refusal + ": nobody may");
  if (identity.is_anonymous() || rule->roles.has(identity.role)) return absl::OkStatus();
  std::string allowed;
  for (const Role role : kAllRoles) {
    if (!rule->roles.has(role)) continue;
    if (!allowed.empty()) allowed += " or ";
    allowed += role_word(role);
  }
  return absl::PermissionDeniedError(refusal + ": it takes the role " + allowed);
}

}  // namespace clusterd
