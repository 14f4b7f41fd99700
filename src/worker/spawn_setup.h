#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

namespace clusterd {

// How a process of ours is started by posix_spawn: with nothing of ours open but what is named, no
// signal blocked, and its standard files as named, else ours. Not for jobs, which have a way of
// their own (spawn_child.h).
class SpawnSetup {
 public:
  SpawnSetup() {
    (void)::posix_spawn_file_actions_init(&actions_);
    (void)::posix_spawnattr_init(&attributes_);
    sigset_t none;
    (void)::sigemptyset(&none);
    (void)::posix_spawnattr_setsigmask(&attributes_, &none);
    (void)::posix_spawnattr_setflags(&attributes_, flags_);
  }
  ~SpawnSetup() {
    (void)::posix_spawn_file_actions_destroy(&actions_);
    (void)::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  void open(int number, const std::string& path, int flags) {
    (void)::posix_spawn_file_actions_addopen(&actions_, number, path.c_str(), flags, 0600);
  }
  void pass(int descriptor, int number) {
    (void)::posix_spawn_file_actions_adddup2(&actions_, descriptor, number);
  }
  void change_folder(const std::string& path) {
    (void)::posix_spawn_file_actions_addchdir_np(&actions_, path.c_str());
  }
  // Closes this and all above it; after the calls that open.
  void close_from(int number) {
    (void)::posix_spawn_file_actions_addclosefrom_np(&actions_, number);
  }
  void lead_session() { add_flag(POSIX_SPAWN_SETSID); }
  void handle_by_default(const sigset_t& signals) {
    (void)::posix_spawnattr_setsigdefault(&attributes_, &signals);
    add_flag(POSIX_SPAWN_SETSIGDEF);
  }

  // 0 or an errno. `words` begin with the program's own name; `variables` are "NAME=value".
  int start(const std::string& path, std::vector<std::string> words,
            std::vector<std::string> variables, pid_t* pid) const {
    return ::posix_spawn(pid, path.c_str(), &actions_, &attributes_, pointers_to(words).data(),
                         pointers_to(variables).data());
  }
  // With this process's environment.
  int start(const std::string& path, std::vector<std::string> words, pid_t* pid) const {
    return ::posix_spawn(pid, path.c_str(), &actions_, &attributes_, pointers_to(words).data(),
                         environ);
  }

  // Pointers to each and a null; valid as long as `texts`.
  static std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

 private:
  void add_flag(int flag) {
    flags_ = static_cast<short>(flags_ | flag);
    (void)::posix_spawnattr_setflags(&attributes_, flags_);
  }

  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
  short flags_ = POSIX_SPAWN_SETSIGMASK;
};

}  // namespace clusterd
