#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "clusterd/v1/job.pb.h"
#include "worker/launcher/mailbox.h"
#include "worker/launcher/spawn.h"
#include "worker/launcher/stream_log.h"

namespace clusterd {

// The final state of an attempt's output.
struct OutputFinished {
  uint64_t handle = 0;
  std::vector<v1::OutputStream> outputs;
  std::string tail;  // last bytes of the merged stream, or of stderr, or of stdout
};

// Lengths of streams that have grown.
struct OutputGrown {
  struct Item {
    uint64_t handle = 0;
    v1::OutputStream output;
  };
  std::vector<Item> items;
};

// The output of an attempt that stops at its limits has met one: more than it may write, or a disk
// that could not take it. What follows is thrown away. Told once, before its end.
struct OutputLimitMet {
  uint64_t handle = 0;
  std::string limit;
};

// Bytes of an attempt were lost for want of a disk that takes them; they count as released.
struct OutputLost {
  uint64_t handle = 0;
  uint64_t bytes = 0;  // in all, by this pump
  std::string because;
};

// Written and not taken yet.
[[nodiscard]] uint64_t bytes_in_pipe(int fifo);

using OutputNews = std::variant<OutputFinished, OutputGrown, OutputLimitMet, OutputLost>;

// Moves the output of all attempts from FIFOs to logs.
//
// A log that cannot be written, as on a full disk, is tried again five times a second, while its
// job waits at its pipe. When patience with it has ended, its output is thrown away until it can be
// written again, or the attempt stops, as its bounds say: nobody waits for ever.
//
// Owned by the control loop; news come on its own thread, growth at most every 2 ms. The destructor
// stops the thread and leaves all as it is: what is still in a FIFO stays there.
class OutputPump {
 public:
  explicit OutputPump(std::function<void(OutputNews)> on_news);
  ~OutputPump();
  OutputPump(const OutputPump&) = delete;
  OutputPump& operator=(const OutputPump&) = delete;

  // The control thread. Takes the FIFOs over; they stay open until finish() was carried out.
  void add(uint64_t handle, std::string folder, OutputBounds bounds, std::vector<OutputPipe> pipes);

  // When nobody writes any more: takes what is left, closes, unlinks, and answers with
  // OutputFinished; where the log cannot be written, as soon as it can or patience has ended.
  // An attempt that was never added has no output.
  void finish(uint64_t handle);

 private:
  struct Add {
    uint64_t handle;
    std::string folder;
    OutputBounds bounds;
    std::vector<OutputPipe> pipes;
  };
  struct Finish {
    uint64_t handle;
  };
  struct Stop {};
  using Order = std::variant<Add, Finish, Stop>;
  struct Stream {
    uint64_t handle;
    StreamLog log;
    std::string path;             // of the FIFO, which goes with finish()
    uint64_t left = 0;            // bytes in the FIFO that finish() has not moved yet
    int64_t give_up_at_ms = 0;    // while the log cannot be written: when patience ends
    int64_t try_again_at_ms = 0;  // after that
    std::string unwritable_because;
    int64_t moved_at_ms = 0;  // while it was watched
    bool is_dropped = false;  // a limit was met: what comes is thrown away
  };
  struct Losses {
    uint64_t bytes = 0;
    uint64_t told = 0;
    std::string because;
  };

  void run();
  [[nodiscard]] bool carry_out_orders();
  void add_streams(Add order);
  void begin_to_finish(uint64_t handle);
  [[nodiscard]] bool try_to_finish(uint64_t handle);
  [[nodiscard]] bool take_rest(int fifo);
  void close(int fifo);
  void on_readable(int fifo);
  void look_at_busy();
  uint64_t move_from(int fifo);
  // Moves some of a stream, or throws it away where it has to be. 0: nothing is there. Absent: it
  // has to wait.
  [[nodiscard]] std::optional<uint64_t> take_some(int fifo);
  [[nodiscard]] std::optional<uint64_t> on_unwritable(int fifo, const absl::Status& why);
  [[nodiscard]] uint64_t skip_some(int fifo);
  void note_given_up(Stream& stream, const std::string& because);
  void meet_limit(Stream& stream, const absl::Status& limit);
  void watch(int fifo);
  void unwatch(int fifo);
  [[nodiscard]] bool waits_for_room() const;
  void retry();
  void look_at_space();
  void tell_growth();
  void tell_losses();
  [[nodiscard]] int wait_ms() const;

  std::function<void(OutputNews)> on_news_;
  Mailbox<Order> orders_;
  UniqueFd epoll_;
  std::map<int, Stream> streams_;                  // by FIFO; the thread's own, as all below
  std::map<uint64_t, std::vector<int>> attempts_;  // handle to FIFOs
  std::set<int> grown_;
  // A stream is watched, busy, stalled, or of an attempt that finishes.
  std::set<int> busy_;            // looked at now and then
  std::set<int> stalled_;         // whose logs cannot be written at present
  std::set<uint64_t> finishing_;  // the same of attempts that have ended
  std::map<uint64_t, Losses> losses_;
  int64_t told_at_ms_ = 0;
  int64_t retry_at_ms_ = 0;  // of stalled_ and finishing_
  int64_t look_at_busy_ms_ = 0;
  int64_t look_at_space_ms_ = 0;
  std::thread thread_;
};

}  // namespace clusterd
