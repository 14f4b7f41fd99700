#include "cli/completion.h"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "cli/command_families.h"
#include "cli/completion_scripts.h"

namespace clusterd {
namespace {

using Words = std::vector<std::string>;
using Texts = std::set<std::string>;

Completion complete_line(const Words& words) {
  CLI::App app("", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);
  return complete(app, words);
}

Texts texts_of(const Words& words) {
  Texts texts;
  for (const auto& candidate : complete_line(words).candidates) texts.insert(candidate.text);
  return texts;
}

TEST_CASE("commands are completed by what was typed of them", "[completion]") {
  CHECK(texts_of({"wo"}) == Texts{"worker"});
  CHECK(texts_of({"job", "s"}) == Texts{"start", "stop", "signal"});
  CHECK(texts_of({"job", ""}).size() > 8);
  CHECK_FALSE(texts_of({""}).contains("manual"));
  CHECK(texts_of({}).empty());
}

TEST_CASE("every command and option of the tree is offered, each with its text", "[completion]") {
  CLI::App app("", "clusterd");
  Chosen chosen;
  add_all_commands(app, chosen);
  size_t options = 0;
  const std::function<void(const CLI::App&, Words)> walk = [&](const CLI::App& at, Words path) {
    path.emplace_back("--");
    const Texts offered = texts_of(path);
    path.pop_back();
    for (const CLI::Option* option : at.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        CAPTURE(path, name);
        CHECK(offered.contains("--" + name));
        ++options;
      }
    }
    for (const CLI::App* sub : at.get_subcommands([](const CLI::App*) { return true; })) {
      if (sub->get_group().empty()) continue;
      CAPTURE(path, sub->get_name());
      path.push_back(sub->get_name());
      CHECK(texts_of(path).contains(sub->get_name()));
      walk(*sub, path);
      path.pop_back();
    }
  };

  walk(app, {});

  CHECK(options > 200);
}

TEST_CASE("an option that was given is not offered again unless it may be repeated",
          "[completion]") {
  const Texts after = texts_of({"job", "list", "--json", "--state", "FAILED", "--"});

  CHECK_FALSE(after.contains("--json"));
  CHECK(after.contains("--state"));
}

TEST_CASE("values come from the option's check, its kind or the shell", "[completion]") {
  CHECK(texts_of({"job", "logs", "--stream", "std"}) == Texts{"stdout", "stderr"});
  CHECK(texts_of({"job", "logs", "--stream=m"}) == Texts{"--stream=merged"});
  CHECK(texts_of({"job", "list", "--state", "S"}) == Texts{"STARTING", "STOPPED", "SUCCEEDED"});
  CHECK(texts_of({"job", "signal", "last", "US"}) == Texts{"USR1", "USR2"});
  CHECK(texts_of({"completion", ""}) == Texts{"bash", "zsh", "fish"});
  CHECK(texts_of({"tls", "issue", "w"}) == Texts{"worker"});
  CHECK(texts_of({"tls", "issue", "worker", "--role", ""}) == Texts{"reader", "operator", "admin"});
  CHECK(complete_line({"worker", "--config", ""}).paths == Completion::Paths::kFiles);
  CHECK(complete_line({"dev", "--scripts="}).paths == Completion::Paths::kFolders);
  CHECK(texts_of({"job", "start", "--timeout", ""}).empty());
}

TEST_CASE("ids come from the cluster, asked as the line itself would ask", "[completion]") {
  const Completion job =
      complete_line({"job", "stop", "--addr", "h:1", "--token=t", "0199e2f3", "l"});
  const Completion one = complete_line({"job", "query", "x", ""});
  const Completion worker = complete_line({"cluster", "drain", "w"});
  const Completion option = complete_line({"job", "list", "--worker=w"});
  const Completion script = complete_line({"run", "--worker", "w1", "--command", "bash", "t"});

  CHECK(job.live == Completion::Live::kJobs);
  CHECK(job.candidates.size() == 1);  // last
  CHECK(job.client.addr == "h:1");
  CHECK(job.client.token == "t");
  CHECK(one.live == Completion::Live::kNone);  // it takes one
  CHECK(worker.live == Completion::Live::kWorkers);
  CHECK(option.live == Completion::Live::kWorkers);
  CHECK(option.before == "--worker=");
  CHECK(option.word == "w");
  CHECK(script.live == Completion::Live::kScripts);
  CHECK(script.worker == "w1");
}

TEST_CASE("what follows the script or program belongs to the job", "[completion]") {
  for (const Words& words :
       {Words{"run", "count.sh", "--js"}, Words{"job", "start", "x.sh", "-"},
        Words{"run", "--program", "rsync", "--"}, Words{"run", "--program=rsync", "-"}}) {
    const Completion completion = complete_line(words);
    CHECK(completion.candidates.empty());
    CHECK(completion.paths == Completion::Paths::kFiles);
    CHECK(completion.live == Completion::Live::kNone);
  }
}

TEST_CASE("each shell has a script that holds no list of commands", "[completion]") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script(completion_script(shell));
    CHECK(script.find("__complete") != std::string::npos);
    CHECK(script.find("drain") == std::string::npos);
  }
  CHECK(completion_script("csh").empty());
}

}  // namespace
}  // namespace clusterd
