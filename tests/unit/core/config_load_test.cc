#include "core/config_load.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "core/config_keys.h"
#include "unit/core/wrong_config.h"

using namespace std::chrono_literals;

namespace clusterd {
namespace {

TEST_CASE("an empty file gives every default", "[config]") {
  const auto scheduler = parse_scheduler_config("", "f.toml");
  const auto worker = parse_worker_config("", "f.toml");
  const auto client = parse_client_config("", "f.toml");

  REQUIRE(scheduler.ok());
  CHECK(scheduler->grpc_server.addr == "127.0.0.1:50000");
  CHECK(scheduler->http_server.addr == "127.0.0.1:3000");
  CHECK(scheduler->scheduling.worker_timeout == 15s);
  REQUIRE(worker.ok());
  CHECK(worker->jobs.allowed_commands == std::vector<std::string>{"bash", "sh", "python3"});
  REQUIRE(client.ok());
  CHECK(client->addr == std::vector<std::string>{"127.0.0.1:50000"});
}

TEST_CASE("every default is within what its own key allows", "[config]") {
  SchedulerConfig scheduler;
  WorkerConfig worker;

  for (const auto& keys : {config_keys(scheduler), config_keys(worker)}) {
    for (const ConfigKey& key : keys) {
      INFO(key.path());
      CHECK_FALSE(key.comment.empty());
      CHECK(key.min <= key.max);
      if (auto* const* duration = std::get_if<std::chrono::nanoseconds*>(&key.target)) {
        CHECK((**duration).count() >= key.min);
        CHECK((**duration).count() <= key.max);
      }
      if (auto* const* number = std::get_if<uint64_t*>(&key.target)) {
        CHECK(**number >= static_cast<uint64_t>(key.min));
        CHECK(**number <= static_cast<uint64_t>(key.max));
      }
    }
  }
}

TEST_CASE("a full scheduler file fills every member", "[config]") {
  const auto config = parse_scheduler_config(R"(
[grpc_server]
addr = "[::1]:50001"
use_tls = true
crt_file = "server.pem"
key_file = "server.key"
ca_file = "ca.pem"
[http_server]
addr = "0.0.0.0:3001"
allow_insecure = true
allowed_hosts = ["jobs.example.org"]
max_body = "2MiB"
max_header = 32768
header_timeout = "3s"
body_timeout = "4s"
idle_timeout = "1m"
max_connections = 17
[store]
backend = "sqlite"
path = "x.db"
min_free = "1GiB"
[scheduling]
worker_timeout = "20s"
lost_after = "10m"
heartbeat_interval = "500ms"
start_wait = "0s"
max_queued = 5
[retention]
max_age = "7d"
max_jobs = 6
[compat]
enabled = false
[log]
level = "debug"
)",
                                             "f.toml");

  INFO(config.status());
  REQUIRE(config.ok());
  CHECK(config->grpc_server.addr == "[::1]:50001");
  CHECK(config->grpc_server.use_tls);
  CHECK(config->grpc_server.ca_file == "ca.pem");
  CHECK(config->http_server.allow_insecure);
  CHECK(config->http_server.allowed_hosts == std::vector<std::string>{"jobs.example.org"});
  CHECK(config->http_server.max_body_bytes == 2U << 20U);
  CHECK(config->http_server.max_header_bytes == 32768);
  CHECK(config->http_server.header_timeout == 3s);
  CHECK(config->http_server.body_timeout == 4s);
  CHECK(config->http_server.idle_timeout == 60s);
  CHECK(config->http_server.max_connections == 17);
  CHECK(config->store.path == "x.db");
  CHECK(config->store.min_free_bytes == 1U << 30U);
  CHECK(config->scheduling.worker_timeout == 20s);
  CHECK(config->scheduling.lost_after == 600s);
  CHECK(config->scheduling.heartbeat_interval == 500ms);
  CHECK(config->scheduling.start_wait == 0s);
  CHECK(config->scheduling.max_queued == 5);
  CHECK(config->retention.max_age == 168h);
  CHECK(config->retention.max_jobs == 6);
  CHECK_FALSE(config->compat.enabled);
  CHECK(config->log.level == "debug");
}

TEST_CASE("a full worker file fills every member", "[config]") {
  const auto config = parse_worker_config(R"(
[grpc_server]
addr = "127.0.0.1:0"
advertise_addr = "10.0.0.7:30000"
[scheduler]
addr = ["a:50000", "b:50000"]
[worker]
name = "node-1"
labels = { zone = "a", gpu = "yes" }
on_stop = "stop"
taints = ["gpu", "team=ml"]
[capacity]
slots = 3
cpus = 2
memory = "4GiB"
custom = { gpu = 2, license-a = 10 }
[jobs]
scripts_dir = "s"
data_dir = "d"
runtime_dir = "r"
allowed_commands = ["bash", "/usr/bin/python3"]
allowed_programs = ["/usr/bin/rsync"]
env_allow = ["PATH"]
max_output = "64MiB"
stop_grace = "3s"
[limits]
cgroups = "v1"
memory = "8MiB"
max_memory = "16MiB"
cpus = 0.5
max_cpus = 2
pids = 10
max_pids = 20
open_files = 30
max_open_files = 40
core = "1KiB"
max_core = "2KiB"
nice = -5
min_nice = -6
timeout = "1m"
max_timeout = "2m"
[retention]
max_age = "1h"
[log]
level = "warning"
)",
                                          "f.toml");

  INFO(config.status());
  REQUIRE(config.ok());
  CHECK(config->grpc_server.advertise_addr == "10.0.0.7:30000");
  CHECK(config->scheduler.addr == std::vector<std::string>{"a:50000", "b:50000"});
  CHECK(config->worker.name == "node-1");
  CHECK(config->worker.labels == std::map<std::string, std::string>{{"gpu", "yes"}, {"zone", "a"}});
  CHECK(config->worker.on_stop == "stop");
  CHECK(config->capacity.slots == 3);
  CHECK(config->capacity.cpus == 2.0);
  CHECK(config->capacity.memory_bytes == 4ULL << 30U);
  CHECK(config->capacity.custom == std::map<std::string, uint32_t>{{"gpu", 2}, {"license-a", 10}});
  CHECK(config->worker.taints == std::vector<std::string>{"gpu", "team=ml"});
  CHECK(config->jobs.scripts_dir == "s");
  CHECK(config->jobs.data_dir == "d");
  CHECK(config->jobs.runtime_dir == "r");
  CHECK(config->jobs.allowed_commands == std::vector<std::string>{"bash", "/usr/bin/python3"});
  CHECK(config->jobs.allowed_programs == std::vector<std::string>{"/usr/bin/rsync"});
  CHECK(config->jobs.env_allow == std::vector<std::string>{"PATH"});
  CHECK(config->jobs.max_output_bytes == 64U << 20U);
  CHECK(config->jobs.stop_grace == 3s);
  CHECK(config->limits.cgroups == "v1");
  CHECK(config->limits.memory_bytes == 8U << 20U);
  CHECK(config->limits.max_memory_bytes == 16U << 20U);
  CHECK(config->limits.cpus == 0.5);
  CHECK(config->limits.max_cpus == 2);
  CHECK(config->limits.pids == 10);
  CHECK(config->limits.max_pids == 20);
  CHECK(config->limits.open_files == 30);
  CHECK(config->limits.max_open_files == 40);
  CHECK(config->limits.core_bytes == 1024);
  CHECK(config->limits.max_core_bytes == 2048);
  CHECK(config->limits.nice == -5);
  CHECK(config->limits.min_nice == -6);
  CHECK(config->limits.timeout == 60s);
  CHECK(config->limits.max_timeout == 120s);
  CHECK(config->retention.max_age == 1h);
  CHECK(config->log.level == "warning");
}

TEST_CASE("each error of a scheduler file names file, line, column, key and what is allowed",
          "[config]") {
  check_all(
      {
          {"[grpc_server]\nadr = \"127.0.0.1:1\"",
           "f.toml:2:1: grpc_server.adr: unknown key, did you mean addr?"},
          {"[grpc_server]\nbanana = 1", "f.toml:2:1: grpc_server.banana: unknown key"},
          {"[grpc_server]\nworker_timeout = \"1s\"",
           "f.toml:2:1: grpc_server.worker_timeout: unknown key, it belongs into [scheduling]"},
          {"[grpc_srver]\n", "f.toml:1:1: grpc_srver: unknown table, did you mean grpc_server?"},
          {"addr = 1", "f.toml:1:1: addr: unknown key, it belongs into [http_server]"},
          {"log = \"info\"", "f.toml:1:7: log: is a text; allowed is a table, [log]"},
          {"[grpc_server]\nuse_tls = \"no\"",
           "f.toml:2:11: grpc_server.use_tls: is a text; allowed is true or false"},
          {"[grpc_server]\n  addr = 50000",
           "f.toml:2:10: grpc_server.addr: is an integer; allowed is a text, \"host:port\""},
          {"[grpc_server]\naddr = \"localhost\"",
           "f.toml:2:8: grpc_server.addr: \"localhost\" has no port; allowed is host:port, as in "
           "\"127.0.0.1:50000\""},
          {"[grpc_server]\naddr = \"127.0.0.1:65536\"",
           "f.toml:2:8: grpc_server.addr: \"127.0.0.1:65536\" has a port that is not a number "
           "from 0 to 65535; allowed is host:port, as in \"127.0.0.1:50000\""},
          {"[scheduling]\nworker_timeout = 15",
           "f.toml:2:18: scheduling.worker_timeout: is an integer; allowed is a duration, as in "
           "\"15s\""},
          {"[scheduling]\nworker_timeout = \"15\"",
           "f.toml:2:18: scheduling.worker_timeout: \"15\" is not a duration; allowed is a number "
           "with ms, s, m, h or d, as in \"15s\" or \"1h30m\""},
          {"[scheduling]\nstart_wait = \"-1s\"",
           "f.toml:2:14: scheduling.start_wait: \"-1s\" is not a duration; allowed is a number "
           "with ms, s, m, h or d, as in \"15s\" or \"1h30m\""},
          {"[scheduling]\nworker_timeout = \"0s\"\nheartbeat_interval = \"1s\"",
           "f.toml:2:18: scheduling.worker_timeout: \"0s\" is out of range; allowed is 100ms to "
           "24h"},
          {"[scheduling]\nmax_queued = 0",
           "f.toml:2:14: scheduling.max_queued: 0 is out of range; allowed is 1 to 100000000"},
          {"[scheduling]\nmax_schedules = 100001",
           "f.toml:2:17: scheduling.max_schedules: 100001 is out of range; allowed is 0 to 100000"},
          {"[scheduling]\nmax_queued = 1.5",
           "f.toml:2:14: scheduling.max_queued: is a number; allowed is an integer"},
          {"[store]\nmin_free = \"64Mi\"",
           "f.toml:2:12: store.min_free: \"64Mi\" is not a size; allowed are bytes or a number "
           "with KiB, MiB, GiB, TiB, kB, MB, GB or TB"},
          {"[http_server]\nmax_body = \"1GiB\"",
           "f.toml:2:12: http_server.max_body: \"1GiB\" is out of range; allowed is 1KiB to 16MiB"},
          {"[http_server]\nmax_body = true",
           "f.toml:2:12: http_server.max_body: is true or false; allowed is a size, as in "
           "\"64MiB\""},
          {"[http_server]\nallowed_hosts = \"a\"",
           "f.toml:2:17: http_server.allowed_hosts: is a text; allowed is a list of texts"},
          {"[http_server]\nallowed_hosts = [\"a\", 2]",
           "f.toml:2:23: http_server.allowed_hosts: is an integer; allowed is a list of texts"},
          {"[store]\nbackend = \"postgres\"",
           "f.toml:2:11: store.backend: \"postgres\": allowed are sqlite, etcd"},
          {"[store]\npath = \"\"",
           "f.toml:2:8: store.path: \"\": allowed is a text that is not empty"},
          {"[log]\nlevel = \"inf\"",
           "f.toml:2:9: log.level: \"inf\": allowed are trace, debug, info, warning, error, did "
           "you mean info?"},
          {"[log]\nlevel = 2024-01-01",
           "f.toml:2:9: log.level: is a date or time; allowed is a text"},
      },
      parse_scheduler_config);
}

TEST_CASE("each error of a worker file names file, line, column, key and what is allowed",
          "[config]") {
  check_all(
      {
          {"[scheduler]\naddr = []",
           "f.toml:2:8: scheduler.addr: is empty; allowed is \"host:port\" or a list of them"},
          {"[scheduler]\naddr = [\"a:1\", \"b:0\"]",
           "f.toml:2:16: scheduler.addr: \"b:0\": allowed is host:port with a host and a port "
           "from 1 to 65535"},
          {"[scheduler]\naddr = 7",
           "f.toml:2:8: scheduler.addr: is an integer; allowed is \"host:port\" or a list of them"},
          {"[worker]\nname = \"a b\"",
           "f.toml:2:8: worker.name: \"a b\": allowed are letters, digits, '.', '_' and '-', at "
           "most 128 of them"},
          {"[worker]\nlabels = { zone = 1 }",
           "f.toml:2:19: worker.labels: is an integer; allowed is a table of texts, as in { zone "
           "= \"a\" }"},
          {"[worker]\nlabels = \"zone=a\"",
           "f.toml:2:10: worker.labels: is a text; allowed is a table of texts, as in { zone = "
           "\"a\" }"},
          {"[limits]\nmemory = \"2MiB\"\nmax_memory = \"1MiB\"",
           "f.toml:2:10: limits.memory: memory must not be above max_memory"},
          {"[limits]\nmemory = \"1KiB\"",
           "f.toml:2:10: limits.memory: allowed are 0, for none, and 1MiB or more"},
          {"[limits]\ncore = \"2GiB\"", "f.toml:2:8: limits.core: core must not be above max_core"},
          {"[limits]\nnice = -1", "f.toml:2:8: limits.nice: nice must not be below min_nice"},
          {"[limits]\nnice = 20",
           "f.toml:2:8: limits.nice: 20 is out of range; allowed is -20 to 19"},
          {"[limits]\ncgroups = \"v3\"",
           "f.toml:2:11: limits.cgroups: \"v3\": allowed are auto, v1, off, did you mean v1?"},
          {"[worker]\non_stop = \"kill\"",
           "f.toml:2:11: worker.on_stop: \"kill\": allowed are keep, drain, stop"},
          {"[capacity]\nslots = -1",
           "f.toml:2:9: capacity.slots: -1 is out of range; allowed is 0 to 1000000"},
          {"[capacity]\ncpus = nan",
           "f.toml:2:8: capacity.cpus: nan is out of range; allowed is 0 to 1000000"},
          {"[capacity]\ncpus = \"2\"", "f.toml:2:8: capacity.cpus: is a text; allowed is a number"},
          {"[worker]\ntaints = [\"a b\"]",
           "f.toml:2:11: worker.taints: \"a b\": allowed are key and key=value, of letters, "
           "digits, "
           "'.', '_' and '-'"},
          {"[capacity]\ncustom = { gpu = 0 }",
           "f.toml:2:18: capacity.custom: 0 is out of range; allowed is 1 to 10000"},
          {"[capacity]\ncustom = { gpu = \"2\" }",
           "f.toml:2:18: capacity.custom: is a text; allowed is a table of integers, as in { gpu = "
           "2 }"},
          {"[capacity]\ncustom = { \"a/b\" = 1 }",
           "f.toml:2:12: capacity.custom: \"a/b\": allowed are 1 to 64 letters, digits, '.', '_' "
           "and "
           "'-'"},
          {"[capacity]\ncustom = { a-b = 1, a_b = 1 }",
           "f.toml:2:10: capacity.custom: \"a_b\" and another one have the same variable, "
           "CLUSTERD_A_B_IDS"},
          {"[jobs]\nscripts_dir = \"\"",
           "f.toml:2:15: jobs.scripts_dir: \"\": allowed is a text that is not empty"},
          {"[jobs]\nallowed_commands = [\"bin/sh\"]",
           "f.toml:2:21: jobs.allowed_commands: \"bin/sh\": allowed is a program's name without "
           "'/', or an absolute path"},
          {"[jobs]\nenv_allow = [\"A=b\"]",
           "f.toml:2:14: jobs.env_allow: \"A=b\": allowed is the name of an environment variable"},
          {"[jobs]\nmax_output = 1",
           "f.toml:2:14: jobs.max_output: 1 is out of range; allowed is 64KiB to 1024TiB"},
          {"[grpc_server]\nadvertise_addr = \"x\"",
           "f.toml:2:18: grpc_server.advertise_addr: \"x\" has no port; allowed is host:port, as "
           "in \"127.0.0.1:50000\""},
          {"[retention]\nmax_jobs = 1", "f.toml:2:1: retention.max_jobs: unknown key"},
          {"[jobs]\ndata_dir = \"a\\u0000b\"", "f.toml:2:12: jobs.data_dir: holds a NUL character"},
      },
      parse_worker_config);
}

TEST_CASE("TLS without its files is refused naming them", "[config]") {
  check_all({{"[grpc_server]\nuse_tls = true\ncrt_file = \"a\"\nkey_file = \"b\"",
              "f.toml:2:11: grpc_server.use_tls: true needs ca_file in [grpc_server] too"},
             {"[http_server]\nuse_tls = true",
              "f.toml:2:11: http_server.use_tls: true needs crt_file, key_file in [http_server] "
              "too"}},
            parse_scheduler_config);
  check_all({{"[grpc_server]\nuse_tls = true",
              "f.toml:2:11: grpc_server.use_tls: true needs crt_file, key_file, ca_file in "
              "[grpc_server] too"}},
            parse_worker_config);
  check_all(
      {{"ca_file = \"ca.pem\"\ncrt_file = \"a\"",
        "f.toml:2:12: crt_file: crt_file and key_file go together"},
       {"crt_file = \"a\"\nkey_file = \"b\"", "f.toml:1:12: crt_file: TLS needs ca_file too"}},
      parse_client_config);
  CHECK(parse_client_config("ca_file = \"ca.pem\"", "f.toml").ok());
}

TEST_CASE("an address beyond loopback must know its callers, or be insisted on", "[config]") {
  check_all({{"[http_server]\naddr = \"0.0.0.0:3000\"",
              "f.toml:2:8: http_server.addr: \"0.0.0.0:3000\" can be reached from other machines, "
              "and whoever reaches it can run jobs: set use_tls = true with crt_file and key_file, "
              "and tokens_file (made with `clusterd token create`) or ca_file, or use a loopback "
              "address, or insist with allow_insecure = true"},
             {"[http_server]\naddr = \"0.0.0.0:3000\"\ntokens_file = \"t\"",
              "f.toml:2:8: http_server.addr: \"0.0.0.0:3000\" can be reached from other machines, "
              "and whoever reaches it can run jobs: set use_tls = true with crt_file and key_file, "
              "and tokens_file (made with `clusterd token create`) or ca_file, or use a loopback "
              "address, or insist with allow_insecure = true"},
             {"[grpc_server]\naddr = \":50000\"",
              "f.toml:2:8: grpc_server.addr: \":50000\" can be reached from other machines, and "
              "whoever reaches it can run jobs: set use_tls = true with crt_file, key_file and "
              "ca_file, or use a loopback address, or insist with allow_insecure = true"}},
            parse_scheduler_config);
  const auto http = parse_scheduler_config(
      "[http_server]\naddr = \"0.0.0.0:3000\"\nuse_tls = true\ncrt_file = \"c\"\n"
      "key_file = \"k\"\ntokens_file = \"t\"",
      "f.toml");
  CHECK(http.ok());
  const auto insisted = parse_worker_config(
      "[grpc_server]\naddr = \"0.0.0.0:30000\"\nallow_insecure = true", "f.toml");
  const auto secured = parse_worker_config(
      "[grpc_server]\naddr = \"0.0.0.0:30000\"\nuse_tls = true\ncrt_file = \"c\"\n"
      "key_file = \"k\"\nca_file = \"a\"",
      "f.toml");

  CHECK(insisted.ok());
  CHECK(secured.ok());
}

TEST_CASE("strangers are bounded in their rate, callers on this machine are not", "[config]") {
  const std::string beyond = "[http_server]\naddr = \":3000\"\nallow_insecure = true\n";

  CHECK(parse_scheduler_config("", "f")->http_server.max_request_rate == 0);
  CHECK(parse_scheduler_config(beyond, "f")->http_server.max_request_rate == 2000);
  CHECK(
      parse_scheduler_config(beyond + "max_request_rate = 0", "f")->http_server.max_request_rate ==
      0);
}

TEST_CASE("beyond loopback there is an audit beside the store", "[config]") {
  const std::string beyond = "[http_server]\naddr = \":3000\"\nallow_insecure = true\n";
  const std::string store = "[store]\npath = \"/var/lib/clusterd/jobs.db\"\n";

  CHECK(parse_scheduler_config(store, "f")->audit.file.empty());
  CHECK(parse_scheduler_config(beyond, "f")->audit.file == "audit.jsonl");
  CHECK(parse_scheduler_config(beyond + store, "f")->audit.file == "/var/lib/clusterd/audit.jsonl");
  CHECK(parse_scheduler_config(beyond + "[audit]\nfile = \"\"", "f")->audit.file.empty());
}

TEST_CASE("client certificates over HTTP need TLS, and say who calls", "[config]") {
  check_all({{"[http_server]\nca_file = \"a\"",
              "f.toml:2:11: http_server.ca_file: needs use_tls = true in [http_server]"},
             {"[http_server]\ncrl_file = \"a\"",
              "f.toml:2:12: http_server.crl_file: needs ca_file in [http_server] too"}},
            parse_scheduler_config);
  CHECK(parse_scheduler_config("[http_server]\naddr = \":3000\"\nuse_tls = true\n"
                               "crt_file = \"c\"\nkey_file = \"k\"\nca_file = \"a\"",
                               "f.toml")
            .ok());
}

TEST_CASE("proxies, users and memory are checked", "[config]") {
  check_all(
      {{"[http_server]\ntrusted_proxies = [\"10.0.0.1/8\"]",
        "f.toml:2:20: http_server.trusted_proxies: \"10.0.0.1/8\" has bits beyond its prefix"},
       {"[grpc_server]\nlocal_callers = \"same_user\"\nuse_tls = true\ncrt_file = \"c\"\n"
        "key_file = \"k\"\nca_file = \"a\"",
        "f.toml:2:17: grpc_server.local_callers: \"same_user\" needs use_tls = false: with TLS "
        "callers show certificates"},
       {"[http_server]\naddr = \"localhost:1\"\nlocal_callers = \"same_user\"",
        "f.toml:3:17: http_server.local_callers: \"same_user\" needs 127.0.0.1 or ::1 in "
        "addr"},
       {"[http_server]\nmax_body = \"8MiB\"\nmax_request_memory = \"8MiB\"",
        "f.toml:3:22: http_server.max_request_memory: max_request_memory (8388608 bytes) must "
        "hold max_body and twice max_header (8519680 bytes)"}},
      parse_scheduler_config);
}

TEST_CASE("times that contradict each other are refused", "[config]") {
  check_all({{"[scheduling]\nheartbeat_interval = \"20s\"",
              "f.toml:2:22: scheduling.heartbeat_interval: heartbeat_interval (20s) must be "
              "shorter than worker_timeout (15s)"},
             {"[scheduling]\nworker_timeout = \"10m\"",
              "f.toml:2:18: scheduling.worker_timeout: lost_after (5m) must not be shorter than "
              "worker_timeout (10m)"}},
            parse_scheduler_config);
}

TEST_CASE("all errors come at once, in the order of the file", "[config]") {
  const auto config = parse_worker_config(
      "[jobs]\nscript_dir = \"s\"\nmax_output = \"much\"\n[worker]\non_stop = 3\n", "w.toml");

  CHECK(std::string(config.status().message()) ==
        "w.toml:2:1: jobs.script_dir: unknown key, did you mean scripts_dir?\n"
        "w.toml:3:14: jobs.max_output: \"much\" is not a size; allowed are bytes or a number with "
        "KiB, MiB, GiB, TiB, kB, MB, GB or TB\n"
        "w.toml:5:11: worker.on_stop: is an integer; allowed is a text");
}

// The files of scheduler-worker-grpc, as they are.
constexpr const char* kOriginalScheduler = R"([grpc_server]
addr = "127.0.0.1:50000"
use_tls = false
crt_file = "server.pem"
key_file = "server.key"

[http_server]
addr = "127.0.0.1:3000"
)";
constexpr const char* kOriginalWorker = R"([grpc_server]
addr = "127.0.0.1:30000"
use_tls = false
crt_file = "server.pem"
key_file = "server.key"

[http_server]
addr = "127.0.0.1:3000"

[scheduler]
addr = "127.0.0.1:50000"
)";

TEST_CASE("the original's files load as they are", "[config]") {
  const auto scheduler = parse_scheduler_config(kOriginalScheduler, "config.toml");
  const auto worker = parse_worker_config(kOriginalWorker, "config.toml");

  REQUIRE(scheduler.ok());
  CHECK(scheduler->http_server.addr == "127.0.0.1:3000");
  CHECK(scheduler->compat.enabled);
  CHECK(scheduler->compat.over_grpc);
  REQUIRE(worker.ok());
  CHECK(worker->scheduler.addr == std::vector<std::string>{"127.0.0.1:50000"});
  CHECK(worker->is_original_file);
  CHECK(worker->jobs.scripts_dir == ".");
}

TEST_CASE("a file with one of our keys is not the original's", "[config]") {
  const auto worker =
      parse_worker_config(std::string(kOriginalWorker) + "[jobs]\nscripts_dir = \"jobs\"\n", "w");
  const auto small = parse_worker_config("[scheduler]\naddr = \"127.0.0.1:50000\"\n", "w");

  REQUIRE(worker.ok());
  CHECK_FALSE(worker->is_original_file);
  CHECK(worker->jobs.scripts_dir == "jobs");
  REQUIRE(small.ok());
  CHECK_FALSE(small->is_original_file);
  CHECK(small->jobs.scripts_dir == "scripts");
}

TEST_CASE("addresses that two programs cannot share name the likely key and value", "[config]") {
  check_all({{"[http_server]\naddr = \"127.0.0.1:3000\"\n[scheduler]\naddr = \"localhost:3000\"",
              "f.toml:4:8: scheduler.addr: \"localhost:3000\" is the scheduler's HTTP address, "
              "http_server.addr; a worker needs its gRPC address, by default \"127.0.0.1:50000\""},
             {"[grpc_server]\naddr = \"127.0.0.1:50000\"",
              "f.toml:2:8: grpc_server.addr: \"127.0.0.1:50000\" is the scheduler's address, "
              "scheduler.addr, too; a worker needs a port of its own, by default "
              "\"127.0.0.1:30000\""},
             {"[grpc_server]\naddr = \"127.0.0.1:3000\"\n[http_server]\naddr = \"0.0.0.0:3000\"",
              "f.toml:2:8: grpc_server.addr: \"127.0.0.1:3000\" is the scheduler's HTTP address, "
              "http_server.addr, too; a worker needs a port of its own, by default "
              "\"127.0.0.1:30000\""}},
            parse_worker_config);
  check_all({{"[http_server]\naddr = \"127.0.0.1:50000\"",
              "f.toml:2:8: http_server.addr: \"127.0.0.1:50000\" is grpc_server.addr too, and each "
              "needs a port of its own; the defaults are \"127.0.0.1:3000\" and "
              "\"127.0.0.1:50000\""},
             {"[compat]\naddrs = [\"127.0.0.1:50000\"]",
              "f.toml:2:9: compat.addrs: \"127.0.0.1:50000\" is grpc_server.addr too"}},
            parse_scheduler_config);
}

TEST_CASE("workers beside schedulers of another protocol need what that takes", "[config]") {
  check_all(
      {{"[scheduler]\nprotocol = \"go-work\"\n[compat]\nenabled = false",
        "f.toml:4:11: compat.enabled: false: a scheduler of the protocol go-work could not call "
        "this worker"},
       {"[scheduler]\ntask_addr = \"127.0.0.1:50052\"",
        "f.toml:2:13: scheduler.task_addr: is for protocol = \"go-work\" alone"},
       {"[compat]\ntask_script = \"/bin/sh\"",
        "f.toml:2:15: compat.task_script: \"/bin/sh\" is absolute; it must be relative to the "
        "scripts folder"}},
      parse_worker_config);
}

TEST_CASE("the earlier systems are served on loopback, beyond it on request", "[config]") {
  const std::string open =
      "[grpc_server]\naddr = \"0.0.0.0:50000\"\nallow_insecure = true\n"
      "[http_server]\naddr = \"0.0.0.0:3000\"\nallow_insecure = true\n";

  const auto silent = parse_scheduler_config(open, "f.toml");
  const auto asked = parse_scheduler_config(open + "[compat]\nenabled = true\n", "f.toml");
  const auto off = parse_scheduler_config("[compat]\nenabled = false\n", "f.toml");

  REQUIRE(silent.ok());
  CHECK_FALSE(silent->compat.enabled);
  CHECK_FALSE(silent->compat.over_grpc);
  REQUIRE(asked.ok());
  CHECK(asked->compat.enabled);
  CHECK(asked->compat.over_grpc);
  REQUIRE(off.ok());
  CHECK_FALSE(off->compat.enabled);
  CHECK_FALSE(off->compat.over_grpc);
}

TEST_CASE("text that is no TOML is refused with its position", "[config]") {
  const auto config = parse_scheduler_config("[log]\nlevel = \n", "f.toml");

  REQUIRE_FALSE(config.ok());
  CHECK(config.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(std::string(config.status().message()).starts_with("f.toml:2:"));
}

TEST_CASE("a file that is missing or a folder is named", "[config]") {
  const auto missing = load_scheduler_config("/nonexistent/scheduler.toml");
  const auto folder = load_worker_config("/");

  CHECK(missing.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(missing.status().message()).find("/nonexistent/scheduler.toml") !=
        std::string::npos);
  CHECK_FALSE(folder.ok());
}

}  // namespace
}  // namespace clusterd
