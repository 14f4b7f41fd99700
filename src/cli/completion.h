#pragma once

#include <string>
#include <vector>

#include "client/client_settings.h"

namespace CLI {
class App;
}

namespace clusterd {

// What a shell may put in place of the word that is being typed.
struct Completion {
  struct Candidate {
    std::string text;
    std::string description;  // for people; may be empty
  };
  // What only the cluster knows.
  enum class Live { kNone, kJobs, kWorkers, kScripts, kSchedules };
  // What only the shell knows.
  enum class Paths { kNone, kFiles, kFolders };

  std::vector<Candidate> candidates;  // all begin with `before` and `word`
  Live live = Live::kNone;
  Paths paths = Paths::kNone;
  std::string before;  // "--worker=" where the value follows in the same word, else empty
  std::string word;    // what was typed of the value itself
  ClientFlags client;  // by which the line so far finds the scheduler
  std::string worker;  // that it names; for scripts
};

// What may follow in a command line, by the tree of commands alone. `words`: those after the
// program's name up to the one that is being typed, which is the last. Pure; any thread.
[[nodiscard]] Completion complete(const CLI::App& app, const std::vector<std::string>& words);

// Adds what the cluster knows to the candidates. Where there is no scheduler, nothing.
void add_live_candidates(Completion& completion);

// Prints it for the scripts of `clusterd completion`: lines of a candidate, a tab and its
// description; ":files" or ":folders" where the shell shall add paths. Ends the process within a
// second: when its time is over, without what the cluster would have added.
int print_completion(Completion completion);

}  // namespace clusterd
