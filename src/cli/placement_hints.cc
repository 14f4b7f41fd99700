#include "cli/placement_hints.h"

#include <algorithm>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/label_expression.h"
#include "core/limits_check.h"
#include "core/units.h"

namespace clusterd {
namespace {

using Workers = std::vector<const v1::Worker*>;
using Hints = std::vector<std::string>;

constexpr char kSeeWorkers[] = ": `clusterd cluster workers`";
constexpr char kSeeLabels[] = ": `clusterd cluster workers --label`";

bool any(const Workers& workers, const std::function<bool(const v1::Worker&)>& holds) {
  return std::any_of(workers.begin(), workers.end(),
                     [&holds](const v1::Worker* worker) { return holds(*worker); });
}

Workers only(const Workers& workers, const std::function<bool(const v1::Worker&)>& holds) {
  Workers kept;
  std::copy_if(workers.begin(), workers.end(), std::back_inserter(kept),
               [&holds](const v1::Worker* worker) { return holds(*worker); });
  return kept;
}

bool is_named(const v1::Worker& worker, const std::string& id_or_name) {
  return id_or_name.empty() || worker.worker_id() == id_or_name || worker.name() == id_or_name;
}

// "gpu=yes" is a label; "!spot" and "zone in (a,b)" are more than that.
std::string lack_of_label(const std::string& expression) {
  const bool is_label = expression.find_first_of("!( ") == std::string::npos;
  return absl::StrCat("no worker ", is_label ? "has label " : "meets ", expression, kSeeLabels);
}

void add_labels(const v1::JobSpec& spec, const Workers& workers, Hints& hints) {
  std::vector<LabelExpression> wanted;
  for (const std::string& text : spec.require()) {
    auto expression = LabelExpression::parse(text);
    if (expression.ok()) wanted.push_back(*std::move(expression));
  }
  for (const LabelExpression& expression : wanted) {
    if (!any(workers, [&](const auto& worker) { return expression.matches(worker.labels()); })) {
      hints.push_back(lack_of_label(expression.text()));
    }
  }
  const bool met = any(workers, [&wanted](const v1::Worker& worker) {
    return std::all_of(wanted.begin(), wanted.end(), [&worker](const LabelExpression& expression) {
      return expression.matches(worker.labels());
    });
  });
  if (!met && hints.empty()) {
    hints.push_back(
        absl::StrCat("no worker meets all of ", absl::StrJoin(spec.require(), ", "), kSeeLabels));
  }
}

// `wanted` is more than the largest worker has.
template <typename Amount, typename Show>
void add_size(const Workers& workers, const char* what, Amount wanted,
              Amount (v1::Resources::*amount)() const, Show show, Hints& hints) {
  Amount largest = 0;
  for (const v1::Worker* worker : workers) {
    largest = std::max(largest, (worker->capacity().*amount)());
  }
  if (wanted <= largest) return;
  hints.push_back(absl::StrCat("no worker has ", show(wanted), what, ", the largest has ",
                               show(largest), kSeeWorkers));
}

void add_sizes(const v1::Resources& wants, const Workers& workers, Hints& hints) {
  const auto number = [](auto value) { return absl::StrCat(value); };
  add_size(workers, " slots", std::max(1U, wants.slots()), &v1::Resources::slots, number, hints);
  add_size(workers, " cpus", wants.cpus(), &v1::Resources::cpus, number, hints);
  add_size(workers, " of memory", wants.memory_bytes(), &v1::Resources::memory_bytes, format_size,
           hints);
}

void add_limits(const v1::Limits& limits, const Workers& workers, Hints& hints) {
  for (const std::string& limit : names_of(limits)) {
    const bool is_kept = any(workers, [&limit](const v1::Worker& worker) {
      const auto& lacks = worker.unenforced_limits();
      return std::find(lacks.begin(), lacks.end(), limit) == lacks.end();
    });
    if (!is_kept) {
      hints.push_back(absl::StrCat("no worker can enforce limits.", limit, ": their logs say why"));
    }
  }
}

// Empty: some worker takes jobs.
std::string lack_of_workers(const v1::JobSpec& spec, const Workers& named, const Workers& alive,
                            const Workers& taking) {
  if (!taking.empty()) return "";
  if (!alive.empty()) {
    const std::string& name = alive.front()->name();
    if (!alive.front()->draining()) {
      return absl::StrCat("worker ", name, " is in quarantine: mend it, or let it be tried by ",
                          "`clusterd cluster resume ", name, "`");
    }
    return absl::StrCat(spec.worker_id().empty() ? "every worker" : "worker " + name,
                        " is drained: `clusterd cluster resume ", name, "`");
  }
  if (!spec.worker_id().empty()) {
    return absl::StrCat("worker ", spec.worker_id(),
                        named.empty() ? " is not known" : " is not ALIVE", kSeeWorkers);
  }
  return named.empty() ? "there is no worker: start one with `clusterd worker --config FILE`"
                       : absl::StrCat("no worker is ALIVE", kSeeWorkers);
}

}  // namespace

std::vector<std::string> placement_hints(const v1::JobSpec& spec,
                                         const v1::ListWorkersResponse& workers) {
  Workers all;
  for (const v1::Worker& worker : workers.workers()) all.push_back(&worker);
  const Workers named =
      only(all, [&spec](const auto& worker) { return is_named(worker, spec.worker_id()); });
  const Workers alive =
      only(named, [](const auto& worker) { return worker.state() == v1::Worker::ALIVE; });
  const Workers taking = only(alive, [&spec](const auto& worker) {
    return !worker.draining() && (!worker.has_quarantine() || !spec.worker_id().empty());
  });
  if (std::string lack = lack_of_workers(spec, named, alive, taking); !lack.empty()) {
    return {std::move(lack)};
  }
  Hints hints;
  add_labels(spec, taking, hints);
  add_sizes(spec.resources(), taking, hints);
  add_limits(spec.limits(), taking, hints);
  return hints;
}

}  // namespace clusterd
