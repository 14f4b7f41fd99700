#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clusterd {

// A number that only grows. Any thread; one addition without a lock.
class Counter {
 public:
  void add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

// How often a value was at most each of some bounds. Any thread; two additions without a lock, so a
// reader may see an observation in one of both only.
class Histogram {
 public:
  // Values beyond the last bound are counted too. `bounds` grow and live as long as this.
  explicit Histogram(std::span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}

  void observe(double value);
  void observe(std::chrono::nanoseconds time) {
    observe(std::chrono::duration<double>(time).count());
  }

  [[nodiscard]] std::span<const double> bounds() const { return bounds_; }
  // How many values were at most each of the bounds; one number more: of all.
  [[nodiscard]] std::vector<uint64_t> cumulative() const;
  [[nodiscard]] uint64_t count() const { return cumulative().back(); }
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::span<const double> bounds_;
  std::vector<std::atomic<uint64_t>> counts_;  // between two bounds
  std::atomic<double> sum_ = 0;
};

// Bounds for times from a tenth of a millisecond to a minute, in seconds.
[[nodiscard]] std::span<const double> time_bounds();
// Bounds for numbers from one to ten thousand.
[[nodiscard]] std::span<const double> size_bounds();

// A page of metrics in Prometheus' text format (version 0.0.4). Names and units follow its rules:
// seconds and bytes, counters end in _total. Made anew for each request; one thread.
class MetricsPage {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a family; its samples follow. `help` is one line.
  void counter(std::string_view name, std::string_view help);
  void gauge(std::string_view name, std::string_view help);
  // A sample of the family that was begun last.
  void sample(uint64_t value, Labels labels = {});
  void sample(double value, Labels labels = {});
  // A whole family that is one histogram, and one of several of a family that was begun.
  void histogram(std::string_view name, std::string_view help, const Histogram& histogram);
  void histograms(std::string_view name, std::string_view help);
  void sample(const Histogram& histogram, Labels labels);

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] static std::string_view content_type() {
    return "text/plain; version=0.0.4; charset=utf-8";
  }

 private:
  void begin(std::string_view name, std::string_view help, std::string_view type);
  void line(std::string_view suffix, Labels labels, std::string_view le, const std::string& value);

  std::string family_;
  std::string text_;
};

// The version of this program.
void add_build_metrics(MetricsPage& page);

// Processor time, memory, descriptors, threads and age of this process.
void add_process_metrics(MetricsPage& page);

}  // namespace clusterd
