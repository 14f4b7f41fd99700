#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "clusterd/version.h"
#include "core/metrics.h"

namespace clusterd {
namespace {

std::string text_of(const char* path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// Number `n` (from 1, as in proc(5)) of /proc/self/stat; 0 where there is none.
uint64_t stat_field(const std::string& stat, int n) {
  size_t at = stat.rfind(')');  // the name before it may have spaces
  for (int i = 2; i < n && at != std::string::npos; ++i) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  uint64_t value = 0;
  (void)std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), value);
  return value;
}

// The "btime" of /proc/stat: when the machine started, in seconds since 1970.
uint64_t boot_seconds() {
  std::ifstream stream("/proc/stat");
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("btime ")) return std::stoull(line.substr(6));
  }
  return 0;
}

uint64_t open_descriptors() {
  std::error_code error;
  const std::filesystem::directory_iterator folder("/proc/self/fd", error);
  return error ? 0 : static_cast<uint64_t>(std::distance(begin(folder), end(folder)));
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

void add_build_metrics(MetricsPage& page) {
  page.gauge("clusterd_build_info", "1; the version is in its label.");
  page.sample(uint64_t{1}, {{"version", version()}});
}

void add_process_metrics(MetricsPage& page) {
  constexpr int kThreads = 20;
  constexpr int kStartTime = 22;
  constexpr int kVirtualBytes = 23;
  constexpr int kResidentPages = 24;
  const std::string stat = text_of("/proc/self/stat");
  rusage usage{};
  (void)getrusage(RUSAGE_SELF, &usage);
  rlimit files{};
  (void)getrlimit(RLIMIT_NOFILE, &files);
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));

  page.counter("process_cpu_seconds_total", "Processor time spent, user and system.");
  page.sample(seconds(usage.ru_utime) + seconds(usage.ru_stime));
  page.gauge("process_resident_memory_bytes", "Resident memory.");
  page.sample(stat_field(stat, kResidentPages) * page_bytes);
  page.gauge("process_virtual_memory_bytes", "Virtual memory.");
  page.sample(stat_field(stat, kVirtualBytes));
  page.gauge("process_open_fds", "Open file descriptors.");
  page.sample(open_descriptors());
  page.gauge("process_max_fds", "Most file descriptors that may be open.");
  page.sample(static_cast<uint64_t>(files.rlim_cur));
  page.gauge("process_threads", "Threads.");
  page.sample(stat_field(stat, kThreads));
  page.gauge("process_start_time_seconds", "When the process started, since 1970.");
  page.sample(static_cast<double>(boot_seconds()) +
              static_cast<double>(stat_field(stat, kStartTime)) / ticks);
}

}  // namespace clusterd
