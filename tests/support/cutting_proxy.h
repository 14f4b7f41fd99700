#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace clusterd::testing {

// Passes TCP connections on, and can lose what comes back: requests arrive, answers do not.
class CuttingProxy {
 public:
  explicit CuttingProxy(const std::string& to);  // "127.0.0.1:port"
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  // From now on answers are lost, until mend(), which also ends the connections that lost some.
  void lose_answers() { is_losing_ = true; }
  void mend() { is_losing_ = false; }

 private:
  struct Pair {
    int caller = -1;
    int server = -1;
    bool has_lost = false;
  };

  void run();
  void accept_one();
  // False: it has ended.
  bool pass(Pair& pair, bool is_answer);

  uint16_t port_ = 0;
  int listener_ = -1;
  std::string endpoint_;
  std::vector<Pair> pairs_;  // of the thread
  std::atomic<bool> is_losing_ = false;
  std::atomic<bool> is_ending_ = false;
  std::thread thread_;
};

}  // namespace clusterd::testing
