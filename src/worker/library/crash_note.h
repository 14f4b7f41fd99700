#pragma once

#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/unique_fd.h"

namespace clusterd {

// Which attempts brought their process down, and by which signal: handlers run in it, so that what
// one of them does wrong ends all of them. A note is written by the dying thread itself, and read
// by the next process.
//
// Owned by HandlerLauncher. Any thread.
class CrashNotes {
 public:
  // Takes what an earlier process has left in `folder`, by journal handle, and is ready for more:
  // SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT, which std::terminate() raises too. Whatever the
  // program does about these signals happens after the note.
  [[nodiscard]] static absl::StatusOr<CrashNotes> open(const std::string& folder,
                                                       std::map<uint64_t, int>* earlier);

  // What open() found is known elsewhere now.
  void forget_earlier();

  // While it lives, this thread can note its crash also where its stack has overflowed.
  class Stack {
   public:
    Stack();
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

   private:
    std::unique_ptr<char[]> bytes_;
    stack_t earlier_{};
  };

  // While it lives, a crash of this thread is that of the attempt with this handle.
  class Scope {
   public:
    Scope(const CrashNotes& notes, uint64_t handle);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };

 private:
  explicit CrashNotes(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace clusterd
