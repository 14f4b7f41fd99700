#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
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
  std::string tail;          // last bytes of the merged stream, or of stderr, or of stdout
  uint64_t lost_bytes = 0;   // which the log could not take
  std::string lost_because;  // where bytes were lost
};

// Lengths of streams that have grown.
struct OutputGrown {
  struct Item {
    uint64_t handle = 0;
    v1::OutputStream output;
  };
  std::vector<Item> items;
};

using OutputNews = std::variant<OutputFinished, OutputGrown>;

// Moves the output of all attempts from FIFOs to logs.
//
// A log that cannot be written, as on a full disk, is tried again five times a second; its job
// waits at its pipe meanwhile.
//
// Owned by the control loop; news come on its own thread, growth at most every 2 ms. The destructor
// stops the thread and leaves all as it is: what is still in a FIFO stays there.
class OutputPump {
 public:
  // `patience`: how long the end of an attempt waits for room for the rest of its output.
  explicit OutputPump(std::function<void(OutputNews)> on_news,
                      std::chrono::milliseconds patience = std::chrono::minutes(1));
  ~OutputPump();
  OutputPump(const OutputPump&) = delete;
  OutputPump& operator=(const OutputPump&) = delete;

  // The control thread. Takes the FIFOs over; they stay open until finish() was carried out.
  void add(uint64_t handle, std::string folder, uint64_t max_bytes, std::vector<OutputPipe> pipes);

  // When nobody writes any more: takes what is left, closes, unlinks, and answers with
  // OutputFinished; where the log cannot be written, as soon as it can or patience is at its end.
  // An attempt that was never added has no output.
  void finish(uint64_t handle);

 private:
  struct Add {
    uint64_t handle;
    std::string folder;
    uint64_t max_bytes;
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
    std::string path;   // of the FIFO, which goes with finish()
    uint64_t left = 0;  // bytes in the FIFO that finish() has not moved yet
  };

  void run();
  [[nodiscard]] bool carry_out_orders();
  void add_streams(Add order);
  void begin_to_finish(uint64_t handle);
  [[nodiscard]] absl::Status try_to_finish(uint64_t handle);
  [[nodiscard]] absl::Status take_rest(int fifo);
  void close(int fifo);
  void move_from(int fifo);
  void watch(int fifo, bool on);
  [[nodiscard]] bool waits_for_room() const;
  void retry();
  void tell_growth();
  [[nodiscard]] int wait_ms() const;

  std::function<void(OutputNews)> on_news_;
  const std::chrono::milliseconds patience_;
  Mailbox<Order> orders_;
  UniqueFd epoll_;
  std::map<int, Stream> streams_;                  // by FIFO; the thread's own, as all below
  std::map<uint64_t, std::vector<int>> attempts_;  // handle to FIFOs
  std::set<int> grown_;
  std::set<int> stalled_;                  // whose logs cannot be written at present
  std::map<uint64_t, int64_t> finishing_;  // the same of ended attempts: when patience ends, ms
  int64_t told_at_ms_ = 0;
  int64_t retry_at_ms_ = 0;  // of stalled_ and finishing_
  std::thread thread_;
};

}  // namespace clusterd
