#include "store/etcd_index.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <optional>

#include "clusterd/job_states.h"
#include "clusterd/job_tasks.h"
#include "core/proto_time.h"
#include "store/job_page.h"

namespace clusterd {
namespace {

constexpr size_t kMostLooks = 10'000;  // at request keys, with the lock held

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

}  // namespace

// A request in words of the index.
struct EtcdIndex::Filter {
  struct Label {
    uint32_t key;
    std::optional<uint32_t> value;  // nullopt: any
  };
  std::vector<int> states;  // empty: every one
  std::optional<uint32_t> worker;
  std::optional<uint32_t> name;
  std::optional<uint32_t> queue;
  std::vector<Label> labels;
  int64_t submitted_since = std::numeric_limits<int64_t>::min();
  int64_t submitted_before = std::numeric_limits<int64_t>::max();
  std::optional<uint64_t> seq;  // of the one job that has the external id
};

void EtcdIndex::clear() {
  const std::unique_lock lock(mutex_);
  is_loaded_ = false;
  words_ = WordTable();
  entries_.clear();
  seqs_.clear();
  external_ids_.clear();
  ended_.clear();
  ended_counts_.clear();
  requests_.clear();
  request_times_.clear();
  next_request_ = {};
}

void EtcdIndex::set_loaded() {
  const std::unique_lock lock(mutex_);
  is_loaded_ = true;
}

bool EtcdIndex::is_loaded() const {
  const std::shared_lock lock(mutex_);
  return is_loaded_;
}

void EtcdIndex::put(const v1::Job& job) {
  const std::unique_lock lock(mutex_);
  const auto [known, is_new] = seqs_.try_emplace(job.job_id(), job.seq());
  const uint64_t seq = known->second;
  Entry& entry = entries_[seq];
  if (!is_new) release(entry, seq);
  fill(entry, seq, job);
}

void EtcdIndex::fill(Entry& entry, uint64_t seq, const v1::Job& job) {
  entry.job_id = job.job_id();
  entry.external_id = job.external_id();
  entry.submit_time_ns = nanoseconds(job.submit_time());
  entry.end_time_ns = job.has_end_time() ? nanoseconds(job.end_time()) : 0;
  entry.worker = words_.take(job.worker_id());
  entry.name = words_.take(job.spec().name());
  // Jobs that name none are of this one.
  entry.queue = words_.take(job.spec().queue().empty() ? "default" : job.spec().queue());
  entry.state = job.state();
  entry.labels.clear();
  for (const auto& [key, value] : job.spec().labels()) {
    entry.labels.emplace_back(words_.take(key), words_.take(value));
  }
  if (!entry.external_id.empty()) external_ids_[entry.external_id] = seq;
  if (is_final(entry.state)) {
    ended_.emplace(entry.end_time_ns, seq);
    ++ended_counts_[entry.state];
  }
}

void EtcdIndex::release(const Entry& entry, uint64_t seq) {
  for (const uint32_t word : {entry.worker, entry.name, entry.queue}) words_.drop(word);
  for (const auto& [key, value] : entry.labels) {
    words_.drop(key);
    words_.drop(value);
  }
  if (!entry.external_id.empty()) external_ids_.erase(entry.external_id);
  if (!is_final(entry.state)) return;
  ended_.erase({entry.end_time_ns, seq});
  if (--ended_counts_[entry.state] == 0) ended_counts_.erase(entry.state);
}

void EtcdIndex::erase(const std::string& job_id) {
  const std::unique_lock lock(mutex_);
  const auto known = seqs_.find(job_id);
  if (known == seqs_.end()) return;
  const auto entry = entries_.find(known->second);
  release(entry->second, entry->first);
  entries_.erase(entry);
  seqs_.erase(known);
}

void EtcdIndex::put_request(const internal::IdempotencyRecord& record) {
  const std::unique_lock lock(mutex_);
  const int64_t time = nanoseconds(record.time());
  const auto [known, is_new] = request_times_.try_emplace(record.key(), time);
  if (!is_new) requests_.erase({known->second, record.key()});
  known->second = time;
  requests_[{time, record.key()}] = record.subject_id();
}

void EtcdIndex::erase_request(const std::string& key) {
  const std::unique_lock lock(mutex_);
  const auto known = request_times_.find(key);
  if (known == request_times_.end()) return;
  requests_.erase({known->second, key});
  request_times_.erase(known);
}

bool EtcdIndex::contains(const std::string& job_id) const {
  const std::shared_lock lock(mutex_);
  return seqs_.contains(job_id);
}

bool EtcdIndex::make_filter(const v1::ListJobsRequest& request, Filter& filter) const {
  const auto find = [this](const std::string& word, std::optional<uint32_t>& id) {
    if (word.empty()) return true;
    id = words_.find(word);
    return id.has_value();
  };
  filter.states = states_of(request);
  if (!find(request.worker_id(), filter.worker) || !find(request.name(), filter.name) ||
      !find(request.queue(), filter.queue)) {
    return false;
  }
  for (const std::string& wanted : request.label()) {
    const size_t equals = wanted.find('=');
    const auto key = words_.find(wanted.substr(0, equals));
    if (!key) return false;
    Filter::Label& label = filter.labels.emplace_back(Filter::Label{*key, std::nullopt});
    if (equals == std::string::npos) continue;
    label.value = words_.find(wanted.substr(equals + 1));
    if (!label.value) return false;
  }
  if (request.has_submitted_since())
    filter.submitted_since = nanoseconds(request.submitted_since());
  if (request.has_submitted_before()) {
    filter.submitted_before = nanoseconds(request.submitted_before());
  }
  if (request.external_id().empty()) return true;
  const auto known = external_ids_.find(request.external_id());
  if (known == external_ids_.end()) return false;
  filter.seq = known->second;
  return true;
}

bool EtcdIndex::matches(const Entry& entry, const Filter& filter) {
  if (!filter.states.empty() &&
      std::find(filter.states.begin(), filter.states.end(), entry.state) == filter.states.end()) {
    return false;
  }
  if (filter.worker && entry.worker != *filter.worker) return false;
  if (filter.name && entry.name != *filter.name) return false;
  if (filter.queue && entry.queue != *filter.queue) return false;
  if (entry.submit_time_ns < filter.submitted_since) return false;
  if (entry.submit_time_ns >= filter.submitted_before) return false;
  return std::all_of(filter.labels.begin(), filter.labels.end(), [&entry](const auto& wanted) {
    return std::any_of(entry.labels.begin(), entry.labels.end(), [&wanted](const auto& label) {
      return label.first == wanted.key && (!wanted.value || label.second == *wanted.value);
    });
  });
}

std::vector<EtcdIndex::Row> EtcdIndex::list(const v1::ListJobsRequest& request, uint64_t below,
                                            size_t limit) const {
  std::vector<Row> rows;
  const std::shared_lock lock(mutex_);
  Filter filter;
  if (!make_filter(request, filter)) return rows;
  if (filter.seq) {
    const auto found = entries_.find(*filter.seq);
    if (found->first < below && matches(found->second, filter)) {
      rows.push_back({found->first, found->second.job_id});
    }
    return rows;
  }
  for (auto entry = entries_.upper_bound(below); entry != entries_.end(); ++entry) {
    if (rows.size() == limit) break;
    if (matches(entry->second, filter)) rows.push_back({entry->first, entry->second.job_id});
  }
  return rows;
}

std::vector<std::string> EtcdIndex::find_expired(WallTime before, uint64_t max_jobs,
                                                 size_t limit) const {
  std::vector<std::string> ids;
  const std::shared_lock lock(mutex_);
  uint64_t beyond = ended_.size() > max_jobs ? ended_.size() - max_jobs : 0;
  for (const auto& [end_time, seq] : ended_) {
    const bool is_old = end_time < before.time_since_epoch().count();
    if (ids.size() == limit || (!is_old && beyond == 0)) break;
    if (beyond > 0) --beyond;
    ids.push_back(entries_.at(seq).job_id);
  }
  return ids;
}

std::map<v1::Job::State, uint64_t> EtcdIndex::ended_counts() const {
  const std::shared_lock lock(mutex_);
  return ended_counts_;
}

bool EtcdIndex::is_subject(const std::string& subject_id) const {
  if (seqs_.contains(subject_id)) return true;
  const auto parts = split_task_id(subject_id);
  return parts && seqs_.contains(parts->first);
}

std::vector<std::string> EtcdIndex::find_stale_requests(WallTime before, size_t limit) {
  std::vector<std::string> keys;
  const std::unique_lock lock(mutex_);
  auto request = requests_.lower_bound(next_request_);
  for (size_t looks = 0; looks < kMostLooks && keys.size() < limit; ++looks) {
    if (request == requests_.end() || request->first.first >= before.time_since_epoch().count()) {
      next_request_ = {};
      return keys;
    }
    if (!is_subject(request->second)) keys.push_back(request->first.second);
    ++request;
  }
  next_request_ = request == requests_.end() ? decltype(next_request_)() : request->first;
  return keys;
}

}  // namespace clusterd
