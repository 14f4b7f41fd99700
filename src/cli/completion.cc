#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <string_view>

#include "absl/strings/str_split.h"
#include "clusterd/v1/job.pb.h"
#include "core/signal_names.h"

namespace clusterd {
namespace {

using Live = Completion::Live;
using Paths = Completion::Paths;

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }
bool is_repeatable(const CLI::Option& option) { return option.get_items_expected_max() > 1; }

// Where a command line stands behind the words that are complete.
struct Place {
  const CLI::App* app;
  const CLI::Option* awaits = nullptr;  // the option whose value comes next
  size_t positionals = 0;               // given so far
  bool only_positionals = false;        // behind "--"
  bool is_of_job = false;               // behind the script or program: not ours
  std::set<const CLI::Option*> given;
};

std::vector<const CLI::Option*> positionals_of(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return option->get_positional(); });
}

const CLI::App* find_command(const CLI::App& app, const std::string& word) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == word) return sub;
  }
  return nullptr;
}

// The arguments of `job start` and `run` are the job's.
bool passes_arguments_on(const CLI::App& app) { return app.get_option_no_throw("ARGS") != nullptr; }

void note_value(const CLI::Option& option, const std::string& value, Completion& completion) {
  const std::string name = option.get_name();
  ClientFlags& client = completion.client;
  if (name == "--addr") client.addr = value;
  if (name == "--token") client.token = value;
  if (name == "--ca") client.ca_file = value;
  if (name == "--cert") client.crt_file = value;
  if (name == "--key") client.key_file = value;
  if (name == "--worker") completion.worker = value;
}

void pass_option(const std::string& word, Place& place, Completion& completion) {
  const size_t equals = word.find('=');
  const CLI::Option* option = place.app->get_option_no_throw(word.substr(0, equals));
  if (option == nullptr) return;
  place.given.insert(option);
  if (!takes_value(*option)) return;
  if (equals == std::string::npos) {
    place.awaits = option;
  } else {
    note_value(*option, word.substr(equals + 1), completion);
  }
  const bool is_target = passes_arguments_on(*place.app) && option->get_name() == "--program";
  if (is_target && equals != std::string::npos) place.is_of_job = true;
}

void pass(const std::string& word, Place& place, Completion& completion) {
  if (place.awaits != nullptr) {
    note_value(*place.awaits, word, completion);
    if (passes_arguments_on(*place.app) && place.awaits->get_name() == "--program") {
      place.is_of_job = true;
    }
    place.awaits = nullptr;
    return;
  }
  if (word == "--") {
    place.only_positionals = true;
  } else if (word.starts_with('-') && word.size() > 1 && !place.only_positionals) {
    pass_option(word, place, completion);
  } else if (const CLI::App* below = find_command(*place.app, word)) {
    place.app = below;
  } else {
    ++place.positionals;
    // All but the last one come before the job's arguments.
    place.is_of_job = passes_arguments_on(*place.app) &&
                      place.positionals + 1 >= positionals_of(*place.app).size();
  }
}

void add(const std::string& text, const std::string& description, Completion& completion) {
  if (!std::string_view(text).starts_with(completion.word)) return;
  completion.candidates.push_back({completion.before + text, description});
}

// The words of a check against a set: "{a,b}" at the end of the type's name.
std::vector<std::string> members_of(const std::string& type) {
  const size_t begin = type.find(":{");
  if (begin == std::string::npos || !type.ends_with('}')) return {};
  return absl::StrSplit(type.substr(begin + 2, type.size() - begin - 3), ',');
}

void add_states(Completion& completion) {
  const auto& states = *v1::Job::State_descriptor();
  for (int i = 0; i < states.value_count(); ++i) {
    if (states.value(i)->number() != v1::Job::STATE_UNSPECIFIED) {
      add(states.value(i)->name(), "", completion);
    }
  }
}

void add_signals(Completion& completion) {
  constexpr int kLastNamed = 31;
  for (int number = 1; number <= kLastNamed; ++number) add(signal_name(number), "", completion);
}

// What the option's or argument's value may be, by its check or its kind.
void add_values(const CLI::Option& option, Completion& completion) {
  const std::string type = option.get_type_name();
  for (const std::string& member : members_of(type)) add(member, "", completion);
  const std::string kind =
      option.get_positional() ? option.get_name() : type.substr(0, type.find_first_of(":["));
  if (kind == "JOB") {
    completion.live = Live::kJobs;
    add("last", "the newest job", completion);
    if (option.get_positional() && is_repeatable(option)) {
      add("all", "all that the command is for", completion);
      add("failed", "all that ended FAILED, TIMED_OUT or LOST", completion);
    }
  }
  if (kind == "SCHEDULE") completion.live = Live::kSchedules;
  if (kind == "WORKER") completion.live = Live::kWorkers;
  if (kind == "PATH") completion.live = Live::kScripts;
  if (kind == "STATE") add_states(completion);
  if (kind == "SIGNAL") add_signals(completion);
  if (kind == "FILE" || kind == "CERTIFICATE") completion.paths = Paths::kFiles;
  if (kind == "DIR") completion.paths = Paths::kFolders;
}

void add_options(const Place& place, Completion& completion) {
  for (const CLI::Option* option : place.app->get_options()) {
    const bool is_spent = place.given.contains(option) && !is_repeatable(*option);
    if (!option->nonpositional() || is_spent || option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) {
      add("--" + name, option->get_description(), completion);
    }
    const bool is_short_only = option->get_lnames().empty() || completion.word == "-";
    if (!is_short_only) continue;
    for (const std::string& name : option->get_snames()) {
      add("-" + name, option->get_description(), completion);
    }
  }
}

void add_commands(const CLI::App& app, Completion& completion) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!sub->get_group().empty()) add(sub->get_name(), sub->get_description(), completion);
  }
}

void add_positional(const Place& place, Completion& completion) {
  const std::vector<const CLI::Option*> positionals = positionals_of(*place.app);
  if (positionals.empty()) return;
  const bool goes_on = is_repeatable(*positionals.back());
  if (place.positionals >= positionals.size() && !goes_on) return;
  add_values(*positionals[std::min(place.positionals, positionals.size() - 1)], completion);
}

}  // namespace

Completion complete(const CLI::App& app, const std::vector<std::string>& words) {
  Completion completion;
  if (words.empty()) return completion;
  Place place{.app = &app, .given = {}};
  for (size_t i = 0; i + 1 < words.size(); ++i) pass(words[i], place, completion);
  completion.word = words.back();
  if (place.is_of_job) {
    completion.paths = Paths::kFiles;
    return completion;
  }
  if (place.awaits != nullptr) {
    add_values(*place.awaits, completion);
    return completion;
  }
  const bool is_option = completion.word.starts_with('-') && !place.only_positionals;
  const size_t equals = completion.word.find('=');
  if (is_option && equals != std::string::npos) {
    const CLI::Option* option = place.app->get_option_no_throw(completion.word.substr(0, equals));
    completion.before = completion.word.substr(0, equals + 1);
    completion.word.erase(0, equals + 1);
    if (option != nullptr && takes_value(*option)) add_values(*option, completion);
  } else if (is_option) {
    add_options(place, completion);
  } else {
    add_commands(*place.app, completion);
    add_positional(place, completion);
  }
  return completion;
}

}  // namespace clusterd
