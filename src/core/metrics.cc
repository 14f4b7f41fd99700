#include "core/metrics.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace clusterd {
namespace {

constexpr std::array kTimes = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                               0.1,    0.25,    0.5,    1.0,   2.5,    5.0,   10.0, 30.0,  60.0};
constexpr std::array kSizes = {1.0,   2.0,   5.0,   10.0,   20.0,   50.0,
                               100.0, 200.0, 500.0, 1000.0, 10000.0};

// Label values have their backslashes, quotes and line ends escaped.
void append_value(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
}

// As short as it can be without losing anything.
std::string to_text(double value) {
  std::array<char, 32> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace

std::span<const double> time_bounds() { return kTimes; }
std::span<const double> size_bounds() { return kSizes; }

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(bound - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::cumulative() const {
  std::vector<uint64_t> sums;
  uint64_t sum = 0;
  for (const auto& count : counts_) sums.push_back(sum += count.load(std::memory_order_relaxed));
  return sums;
}

void MetricsPage::begin(std::string_view name, std::string_view help, std::string_view type) {
  family_ = std::string(name);
  for (const std::string_view part :
       {std::string_view("# HELP "), name, std::string_view(" "), help,
        std::string_view("\n# TYPE "), name, std::string_view(" "), type, std::string_view("\n")}) {
    text_.append(part);
  }
}

void MetricsPage::counter(std::string_view name, std::string_view help) {
  begin(name, help, "counter");
}

void MetricsPage::gauge(std::string_view name, std::string_view help) {
  begin(name, help, "gauge");
}

void MetricsPage::histograms(std::string_view name, std::string_view help) {
  begin(name, help, "histogram");
}

void MetricsPage::line(std::string_view suffix, Labels labels, std::string_view le,
                       const std::string& value) {
  text_.append(family_).append(suffix);
  char before = '{';
  const auto add = [this, &before](std::string_view name, std::string_view label) {
    text_.push_back(before);
    text_.append(name).append("=\"");
    append_value(text_, label);
    text_.push_back('"');
    before = ',';
  };
  for (const auto& [name, label] : labels) add(name, label);
  if (!le.empty()) add("le", le);
  if (before == ',') text_.push_back('}');
  text_.append(" ").append(value).append("\n");
}

void MetricsPage::sample(uint64_t value, Labels labels) {
  line("", labels, "", std::to_string(value));
}

void MetricsPage::sample(double value, Labels labels) { line("", labels, "", to_text(value)); }

void MetricsPage::histogram(std::string_view name, std::string_view help,
                            const Histogram& histogram) {
  histograms(name, help);
  sample(histogram, {});
}

void MetricsPage::sample(const Histogram& histogram, Labels labels) {
  const auto bounds = histogram.bounds();
  const std::vector<uint64_t> sums = histogram.cumulative();
  for (size_t i = 0; i < bounds.size(); ++i) {
    line("_bucket", labels, to_text(bounds[i]), std::to_string(sums[i]));
  }
  const std::string all = std::to_string(sums.back());
  line("_bucket", labels, "+Inf", all);
  line("_sum", labels, "", to_text(histogram.sum()));
  line("_count", labels, "", all);
}

}  // namespace clusterd
