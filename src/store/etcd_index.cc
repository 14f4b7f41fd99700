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

constexpr size_t kMostKeys = 10'000;  // of requests, with the lock held

// What a term is about.
enum Kind : uint32_t { kState, kWorker, kName, kQueue, kLabel, kLabelValue };

int64_t nanoseconds(const google::protobuf::Timestamp& time) {
  return from_proto(time).time_since_epoch().count();
}

}  // namespace

// A request in words of the index.
struct EtcdIndex::Filter {
  std::vector<TermSets::AnyOf> conditions;
  int64_t submitted_since = std::numeric_limits<int64_t>::min();
  int64_t submitted_before = std::numeric_limits<int64_t>::max();
  std::optional<uint64_t> seq;  // of the one job that has the external id
};

void EtcdIndex::clear() {
  const std::unique_lock lock(mutex_);
  is_loaded_ = false;
  words_ = WordTable();
  entries_.clear();
  sets_ = TermSets();
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
  // Its words are taken before the old ones are dropped, so that those that stay are the same.
  Entry fresh = make_entry(job);
  Entry& entry = entries_[seq];
  const auto terms = terms_of(fresh);
  const auto before = is_new ? decltype(terms)() : terms_of(entry);
  for (const TermSets::Term& term : before) {
    if (std::find(terms.begin(), terms.end(), term) == terms.end()) sets_.remove(term, seq);
  }
  for (const TermSets::Term& term : terms) {
    if (std::find(before.begin(), before.end(), term) == before.end()) sets_.add(term, seq);
  }
  if (!is_new) release(entry, seq);
  entry = std::move(fresh);
  take_up(entry, seq);
}

EtcdIndex::Entry EtcdIndex::make_entry(const v1::Job& job) {
  Entry entry;
  entry.job_id = job.job_id();
  entry.external_id = job.external_id();
  entry.submit_time_ns = nanoseconds(job.submit_time());
  entry.end_time_ns = job.has_end_time() ? nanoseconds(job.end_time()) : 0;
  entry.worker = words_.take(job.worker_id());
  entry.name = words_.take(job.spec().name());
  // Jobs that name none are of this one.
  entry.queue = words_.take(job.spec().queue().empty() ? "default" : job.spec().queue());
  entry.state = job.state();
  for (const auto& [key, value] : job.spec().labels()) {
    entry.labels.emplace_back(words_.take(key), words_.take(value));
  }
  return entry;
}

std::vector<TermSets::Term> EtcdIndex::terms_of(const Entry& entry) {
  std::vector<TermSets::Term> terms = {{kState, static_cast<uint32_t>(entry.state)},
                                       {kWorker, entry.worker},
                                       {kName, entry.name},
                                       {kQueue, entry.queue}};
  // Nobody asks for those without a name, or of no worker.
  std::erase_if(terms, [](const TermSets::Term& term) {
    return term.kind != kState && term.word == WordTable::kEmpty;
  });
  for (const auto& [key, value] : entry.labels) {
    terms.push_back({kLabel, key});
    terms.push_back({kLabelValue, key, value});
  }
  return terms;
}

void EtcdIndex::take_up(const Entry& entry, uint64_t seq) {
  if (!entry.external_id.empty()) external_ids_[entry.external_id] = seq;
  if (!is_final(entry.state)) return;
  ended_.emplace(entry.end_time_ns, seq);
  ++ended_counts_[entry.state];
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
  for (const TermSets::Term& term : terms_of(entry->second)) sets_.remove(term, entry->first);
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

// False: nobody can match, since nobody has the word.
bool EtcdIndex::make_filter(const v1::ListJobsRequest& request, Filter& filter) const {
  const auto add = [this, &filter](Kind kind, const std::string& text) {
    if (text.empty()) return true;
    const auto word = words_.find(text);
    if (word) filter.conditions.push_back({{kind, *word}});
    return word.has_value();
  };
  if (!add(kWorker, request.worker_id()) || !add(kName, request.name()) ||
      !add(kQueue, request.queue())) {
    return false;
  }
  for (const std::string& wanted : request.label()) {
    const size_t equals = wanted.find('=');
    const auto key = words_.find(wanted.substr(0, equals));
    const bool any = equals == std::string::npos;
    const auto value = any ? key : words_.find(wanted.substr(equals + 1));
    if (!key || !value) return false;
    filter.conditions.push_back(
        {any ? TermSets::Term{kLabel, *key} : TermSets::Term{kLabelValue, *key, *value}});
  }
  if (const std::vector<int> states = states_of(request); !states.empty()) {
    TermSets::AnyOf& any = filter.conditions.emplace_back();
    for (const int state : states) any.push_back({kState, static_cast<uint32_t>(state)});
  }
  if (request.has_submitted_since()) {
    filter.submitted_since = nanoseconds(request.submitted_since());
  }
  if (request.has_submitted_before()) {
    filter.submitted_before = nanoseconds(request.submitted_before());
  }
  if (request.external_id().empty()) return true;
  const auto known = external_ids_.find(request.external_id());
  if (known == external_ids_.end()) return false;
  filter.seq = known->second;
  return true;
}

// Lowers `most` to the next job that has all that there are sets of, as TermSets::meet().
bool EtcdIndex::meet(const Filter& filter, uint64_t& most, size_t& looks) const {
  if (filter.seq) most = std::min(most, *filter.seq);
  if (!filter.conditions.empty()) {
    return sets_.meet(filter.conditions, most, looks) && (!filter.seq || most == *filter.seq);
  }
  const auto entry = filter.seq ? entries_.find(*filter.seq) : entries_.lower_bound(most);
  if (entry == entries_.end() || entry->first > most) return false;
  most = entry->first;
  --looks;
  return true;
}

EtcdIndex::Found EtcdIndex::list(const v1::ListJobsRequest& request, uint64_t below,
                                 size_t limit) const {
  Found found{.rows = {}, .below = below};
  const std::shared_lock lock(mutex_);
  Filter filter;
  found.at_end = below == 0 || !make_filter(request, filter);
  size_t looks = kMostLooks + filter.conditions.size();  // one job at least is looked at wholly
  while (!found.at_end && found.rows.size() < limit) {
    uint64_t most = found.below - 1;
    found.at_end = !meet(filter, most, looks);
    if (found.at_end) break;
    if (looks == 0) {  // that this job has all is not sure
      found.below = most + 1;
      break;
    }
    found.below = most;
    found.at_end = most == 0;
    const Entry& entry = entries_.at(most);
    const bool is_in_time = entry.submit_time_ns >= filter.submitted_since &&
                            entry.submit_time_ns < filter.submitted_before;
    if (is_in_time) found.rows.push_back({most, entry.job_id});
  }
  return found;
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
  for (size_t looks = 0; looks < kMostKeys && keys.size() < limit; ++looks) {
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
