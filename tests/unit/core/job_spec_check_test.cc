#include "core/job_spec_check.h"

#include <catch2/catch.hpp>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "core/field_error.h"
#include "core/signal_names.h"

namespace clusterd {
namespace {

struct Fault {
  std::string name;
  std::function<void(v1::JobSpec&)> plant;
  std::string field;
  std::string text;  // part of the message
};

v1::JobSpec good_spec() {
  v1::JobSpec spec;
  spec.set_name("nightly");
  spec.set_path("reports/make.sh");
  spec.set_command("bash");
  spec.add_args("5");
  (*spec.mutable_env())["COLOUR"] = "blue";
  spec.set_cwd("reports");
  spec.set_stop_signal("SIGINT");
  spec.mutable_timeout()->set_seconds(30);
  return spec;
}

std::vector<Fault> faults_of_the_process() {
  const std::string nul("a\0b", 3);
  return {
      {"name", [](auto& s) { s.set_name(std::string(257, 'x')); }, "name",
       "257 bytes are more than"},
      {"nul name", [nul](auto& s) { s.set_name(nul); }, "name", "NUL"},
      {"no command",
       [](auto& s) {
         s.clear_path();
         s.clear_command();
       },
       "path", "allowed_programs"},
      {"absolute", [](auto& s) { s.set_path("/etc/passwd"); }, "path",
       "\"/etc/passwd\" is absolute"},
      {"dots", [](auto& s) { s.set_path("a/../../b"); }, "path", "\"..\""},
      {"only dots", [](auto& s) { s.set_path(".."); }, "path", "\"..\""},
      {"nul path", [nul](auto& s) { s.set_path(nul); }, "path", "NUL"},
      {"long path", [](auto& s) { s.set_path(std::string(5000, 'p')); }, "path", "4095"},
      {"nul command", [nul](auto& s) { s.set_command(nul); }, "command", "NUL"},
      {"nul arg", [nul](auto& s) { s.add_args(nul); }, "args[1]", "NUL"},
      {"args", [](auto& s) { s.add_args(std::string(128 << 10, 'x')); }, "args", "131072 allowed"},
      {"env name", [](auto& s) { (*s.mutable_env())[""] = "x"; }, "env", "empty"},
      {"env equals", [](auto& s) { (*s.mutable_env())["A=B"] = "x"; }, "env", "\"A=B\""},
      {"env nul name", [nul](auto& s) { (*s.mutable_env())[nul] = "x"; }, "env", "NUL"},
      {"env nul value", [nul](auto& s) { (*s.mutable_env())["VALUE"] = nul; }, "env", "\"VALUE\""},
      {"env size", [](auto& s) { (*s.mutable_env())["A"] = std::string(128 << 10, 'x'); }, "env",
       "131072 allowed"},
      {"cwd", [](auto& s) { s.set_cwd("../x"); }, "cwd", "\"../x\""},
      {"stdin", [](auto& s) { s.set_stdin(std::string((64 << 10) + 1, 'x')); }, "stdin",
       "65537 bytes are more than the 65536 allowed"},
      {"timeout", [](auto& s) { s.mutable_timeout()->set_seconds(-1); }, "timeout", "-1s"},
      {"memory", [](auto& s) { s.mutable_limits()->set_memory_bytes(4096); }, "limits.memory_bytes",
       "4096 is not within 1048576 to 9223372036854775807"},
      {"cpus", [](auto& s) { s.mutable_limits()->set_cpus(0); }, "limits.cpus",
       "0 is not within 0.01 to 1e+06"},
      {"cpus that are no number",
       [](auto& s) { s.mutable_limits()->set_cpus(std::numeric_limits<double>::quiet_NaN()); },
       "limits.cpus", "nan is not within"},
      {"pids", [](auto& s) { s.mutable_limits()->set_pids(0); }, "limits.pids",
       "0 is not within 1 to 4194304"},
      {"open files", [](auto& s) { s.mutable_limits()->set_open_files(3); }, "limits.open_files",
       "3 is not within 16 to 1073741816"},
      {"core", [](auto& s) { s.mutable_limits()->set_core_bytes(~uint64_t{0}); },
       "limits.core_bytes", "is not within 0 to 9223372036854775807"},
      {"nice", [](auto& s) { s.mutable_limits()->set_nice(20); }, "limits.nice",
       "20 is not within -20 to 19"},
      {"grace", [](auto& s) { s.mutable_stop_grace()->set_nanos(-1); }, "stop_grace", "negative"},
      {"backoff", [](auto& s) { s.mutable_retry()->mutable_backoff()->set_seconds(-7); },
       "retry.backoff", "-7s"},
      {"duration", [](auto& s) { s.mutable_lost_after()->set_seconds(int64_t{1} << 60); },
       "lost_after", "at most"},
      {"signal", [](auto& s) { s.set_stop_signal("SIGNOPE"); }, "stop_signal", "\"SIGNOPE\""},
      {"signal number", [](auto& s) { s.set_stop_signal("65"); }, "stop_signal", "\"65\""},
      {"slots", [](auto& s) { s.mutable_resources()->set_slots(4294967295U); }, "resources.slots",
       "1000000"},
      {"memory", [](auto& s) { s.mutable_resources()->set_memory_bytes(UINT64_MAX); },
       "resources.memory_bytes", "1152921504606846976"},
      {"priority", [](auto& s) { s.set_priority(1001); }, "priority", "1001"},
      {"cpus", [](auto& s) { s.mutable_resources()->set_cpus(-0.5); }, "resources.cpus", "-0.5"},
      {"nan",
       [](auto& s) { s.mutable_resources()->set_cpus(std::numeric_limits<double>::quiet_NaN()); },
       "resources.cpus", "nan"},
      {"mode", [](auto& s) { s.mutable_output()->set_mode(static_cast<v1::OutputSpec::Mode>(9)); },
       "output.mode", "9"},
      {"limit policy",
       [](auto& s) {
         s.mutable_output()->set_on_limit(static_cast<v1::OutputSpec::LimitPolicy>(9));
       },
       "output.on_limit", "9"},
      {"archive command", [nul](auto& s) { s.mutable_output()->set_archive_command(nul); },
       "output.archive_command", "NUL"},
      {"label", [](auto& s) { (*s.mutable_labels())[""] = "x"; }, "labels", "empty"},
  };
}

std::vector<Fault> faults_of_the_queue() {
  return {
      {"array", [](auto& s) { s.mutable_array()->set_from(3); }, "array.to", "array.from = 3"},
      {"tasks", [](auto& s) { s.mutable_array()->set_to(1'000'000); }, "array", "1000001 tasks"},
      {"require", [](auto& s) { s.add_require("a=="); }, "require[0]", "\"a==\""},
      {"requirements",
       [](auto& s) {
         for (int i = 0; i < 65; ++i) s.add_require("a");
       },
       "require", "65 expressions"},
      {"attempts", [](auto& s) { s.mutable_retry()->set_max_attempts(1001); }, "retry.max_attempts",
       "1001"},
      {"on without attempts", [](auto& s) { s.mutable_retry()->add_on(v1::RetryPolicy::LOSS); },
       "retry.max_attempts", "at least 2"},
      {"attempts without on", [](auto& s) { s.mutable_retry()->set_max_attempts(2); }, "retry.on",
       "FAILURE"},
      {"losses without LOSS",
       [](auto& s) {
         s.mutable_retry()->set_max_attempts(2);
         s.mutable_retry()->add_on(v1::RetryPolicy::FAILURE);
         s.mutable_retry()->set_max_losses(2);
       },
       "retry.max_losses", "needs LOSS"},
      {"losses",
       [](auto& s) {
         s.mutable_retry()->set_max_attempts(2);
         s.mutable_retry()->add_on(v1::RetryPolicy::LOSS);
         s.mutable_retry()->set_max_losses(1001);
       },
       "retry.max_losses", "1001"},
      {"array and broadcast",
       [](auto& s) {
         s.mutable_array();
         s.mutable_resources()->set_every_worker(true);
       },
       "array", "every_worker"},
      {"directed broadcast",
       [](auto& s) {
         s.set_worker_id("w1");
         s.mutable_resources()->set_every_worker(true);
       },
       "worker_id", "\"w1\""},
      {"two starts",
       [](auto& s) {
         s.mutable_start_at()->set_seconds(1);
         s.mutable_start_delay();
       },
       "start_delay", "start_at"},
      {"start", [](auto& s) { s.mutable_start_at()->set_seconds(-1); }, "start_at", "-1 s"},
      {"lost after", [](auto& s) { s.mutable_lost_after(); }, "lost_after", "more than 0"},
      {"queue", [](auto& s) { s.set_queue("a b"); }, "queue", "\"a b\""},
      {"unit's name", [](auto& s) { (*s.mutable_resources()->mutable_custom())["a/b"] = 1; },
       "resources.custom", "\"a/b\""},
      {"no unit", [](auto& s) { (*s.mutable_resources()->mutable_custom())["gpu"] = 0; },
       "resources.custom", "gpu = 0"},
      {"units", [](auto& s) { (*s.mutable_resources()->mutable_custom())["gpu"] = 10'001; },
       "resources.custom", "10001"},
      {"two units, one variable",
       [](auto& s) {
         (*s.mutable_resources()->mutable_custom())["a-b"] = 1;
         (*s.mutable_resources()->mutable_custom())["a.b"] = 1;
       },
       "resources.custom", "CLUSTERD_A_B_IDS"},
      {"preference",
       [](auto& s) {
         s.add_prefer()->set_match("a==");
         s.mutable_prefer(0)->set_weight(1);
       },
       "prefer[0].match", "\"a==\""},
      {"weight", [](auto& s) { s.add_prefer()->set_match("a"); }, "prefer[0].weight", "not 0"},
      {"great weight",
       [](auto& s) {
         s.add_prefer()->set_match("a");
         s.mutable_prefer(0)->set_weight(-101);
       },
       "prefer[0].weight", "-101"},
      {"taint", [](auto& s) { s.add_tolerate("a="); }, "tolerate[0]", "\"a=\""},
      {"no gang", [](auto& s) { s.mutable_gang(); }, "gang.size", "1 to 1000"},
      {"large gang", [](auto& s) { s.mutable_gang()->set_size(1001); }, "gang.size", "1001"},
      {"gang's end",
       [](auto& s) {
         s.mutable_gang()->set_size(2);
         s.mutable_gang()->set_on_failure(static_cast<v1::GangSpec::OnFailure>(9));
       },
       "gang.on_failure", "9"},
      {"gang and array",
       [](auto& s) {
         s.mutable_gang()->set_size(2);
         s.mutable_array()->set_to(2);
       },
       "array", "gang"},
      {"gang and broadcast",
       [](auto& s) {
         s.mutable_gang()->set_size(2);
         s.mutable_resources()->set_every_worker(true);
       },
       "resources.every_worker", "gang"},
      {"gang and retry",
       [](auto& s) {
         s.mutable_gang()->set_size(2);
         s.mutable_retry()->set_max_attempts(2);
         s.mutable_retry()->add_on(v1::RetryPolicy::FAILURE);
       },
       "retry", "gang"},
      {"after nobody", [](auto& s) { s.add_after(); }, "after[0].job_id", "empty"},
      {"after twice",
       [](auto& s) {
         s.add_after()->set_job_id("a");
         s.add_after()->set_job_id("a");
       },
       "after[1].job_id", "twice"},
      {"after on",
       [](auto& s) {
         s.add_after()->set_job_id("a");
         s.mutable_after(0)->set_on(static_cast<v1::Dependency::On>(9));
       },
       "after[0].on", "9"},
  };
}

}  // namespace

TEST_CASE("a sound spec passes", "[job_spec_check]") {
  CHECK(check_job_spec(good_spec()).ok());

  v1::JobSpec program;
  program.set_command("/usr/bin/rsync");
  CHECK(check_job_spec(program).ok());
}

TEST_CASE("each fault of a spec is refused with its field, its value and what is allowed",
          "[job_spec_check]") {
  const auto faults = GENERATE(faults_of_the_process(), faults_of_the_queue());
  for (const Fault& fault : faults) {
    INFO(fault.name);
    v1::JobSpec spec = good_spec();
    fault.plant(spec);

    const absl::Status status = check_job_spec(spec);

    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(field_of(status) == fault.field);
    CHECK_THAT(std::string(status.message()), Catch::Contains(fault.text));
  }
}

TEST_CASE("the bounds themselves are allowed", "[job_spec_check]") {
  v1::JobSpec spec = good_spec();
  spec.set_name(std::string(256, 'x'));
  spec.set_stdin(std::string(64 << 10, 'x'));
  spec.set_priority(-1000);
  spec.mutable_array()->set_from(1);
  spec.mutable_array()->set_to(1'000'000);
  spec.clear_args();
  spec.add_args(std::string((128 << 10) - 1, 'x'));

  CHECK(check_job_spec(spec).ok());
}

TEST_CASE("etcd takes specs of 64 KiB at most", "[job_spec_check]") {
  v1::JobSpec spec;
  spec.set_stdin(std::string(64'000, 'x'));
  SchedulerConfig::Store store;
  store.backend = "etcd";
  CHECK(check_record_size(spec, store).ok());
  spec.add_args(std::string(2'000, 'x'));

  const absl::Status refused = check_record_size(spec, store);

  CHECK(field_of(refused) == "spec");
  CHECK(std::string(refused.message()).find("65536") != std::string::npos);
  store.backend = "sqlite";
  CHECK(check_record_size(spec, store).ok());
}

TEST_CASE("a script that comes with its job is what its digest says", "[job_spec_check]") {
  v1::JobSpec spec;
  spec.mutable_script()->set_content("#!/bin/sh\n");
  CHECK(check_job_spec(spec).ok());  // neither path nor command is needed
  spec.mutable_script()->set_sha256(
      "A8076D3D28D21E02012B20EAF7DBF75409A6277134439025F282E368E3305ABF");
  CHECK(check_job_spec(spec).ok());

  spec.mutable_script()->set_content("#!/bin/sh\n\n");
  const absl::Status changed = check_job_spec(spec);
  CHECK(absl::IsInvalidArgument(changed));
  CHECK(field_of(changed) == "script.sha256");
  spec.mutable_script()->clear_content();
  CHECK(field_of(check_job_spec(spec)) == "script.content");
  spec.mutable_script()->clear_sha256();
  spec.mutable_script()->set_content(std::string(4 << 20, 'x'));
  CHECK(check_job_spec(spec).ok());
  spec.mutable_script()->set_content(std::string((4 << 20) + 1, 'x'));
  CHECK(field_of(check_job_spec(spec)) == "script.content");
}

TEST_CASE("signals are known by name, with or without SIG, and by number", "[signal_names]") {
  CHECK(signal_number("TERM") == 15);
  CHECK(signal_number("sigint") == 2);
  CHECK(signal_number("9") == 9);
  CHECK(signal_number("64") == 64);
  CHECK_FALSE(signal_number("0"));
  CHECK_FALSE(signal_number("-1"));
  CHECK_FALSE(signal_number("33"));  // the C library's own
  CHECK_FALSE(signal_number("SIG"));
  CHECK_FALSE(signal_number(""));
  CHECK(signal_name(15) == "TERM");
  CHECK(signal_name(40) == "40");
}

}  // namespace clusterd
