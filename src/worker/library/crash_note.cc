#include "worker/library/crash_note.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <utility>

#include "absl/status/status.h"

namespace clusterd {
namespace {

constexpr std::array kSignals{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
constexpr size_t kStackBytes = 32 << 10;

struct Note {
  uint64_t handle = 0;
  int32_t signal = 0;
  uint32_t is_whole = 0;  // kWhole
};
constexpr uint32_t kWhole = 0x43524153;

// What the signal handler reads: of the thread that crashes.
thread_local volatile int t_file = -1;
thread_local volatile uint64_t t_handle = 0;
std::array<struct sigaction, kSignals.size()> earlier_actions;

// Async-signal-safe, signal-safety(7).
void write_note(int signal) {
  const int saved = errno;
  if (t_file >= 0) {
    const Note note{.handle = t_handle, .signal = signal, .is_whole = kWhole};
    (void)!::write(t_file, &note, sizeof(note));
    t_file = -1;
  }
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == signal) ::sigaction(signal, &earlier_actions[i], nullptr);
  }
  ::raise(signal);  // delivered when this returns
  errno = saved;
}

void catch_signals() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = write_note;
    action.sa_flags = SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i], &action, &earlier_actions[i]);
    }
  });
}

}  // namespace

absl::StatusOr<CrashNotes> CrashNotes::open(const std::string& folder,
                                            std::map<uint64_t, int>* earlier) {
  const std::string path = folder + "/crashes";
  UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return absl::ErrnoToStatus(errno, path);
  Note note;
  while (::read(file.get(), &note, sizeof(note)) == static_cast<ssize_t>(sizeof(note))) {
    if (note.is_whole == kWhole) earlier->emplace(note.handle, note.signal);
  }
  catch_signals();
  return CrashNotes(std::move(file));
}

void CrashNotes::forget_earlier() { (void)!::ftruncate(file_.get(), 0); }

CrashNotes::Stack::Stack() : bytes_(std::make_unique_for_overwrite<char[]>(kStackBytes)) {
  stack_t stack{};
  stack.ss_sp = bytes_.get();
  stack.ss_size = kStackBytes;
  ::sigaltstack(&stack, &earlier_);
}

CrashNotes::Stack::~Stack() { ::sigaltstack(&earlier_, nullptr); }

CrashNotes::Scope::Scope(const CrashNotes& notes, uint64_t handle) {
  t_handle = handle;
  t_file = notes.file_.get();
}

CrashNotes::Scope::~Scope() { t_file = -1; }

}  // namespace clusterd
