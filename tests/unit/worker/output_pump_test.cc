#include "worker/launcher/output_pump.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>

namespace clusterd {
namespace {

using namespace std::chrono_literals;

constexpr auto kMerged = v1::OutputStream::MERGED;

// A folder for FIFOs and output, and the pump's news.
//
// Output lies in `<path>/output`; while `block()` holds, a file is in that folder's place, and no
// log can be written.
class PumpFixture {
 public:
  PumpFixture() {
    std::string name = std::filesystem::temp_directory_path() / "pump-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~PumpFixture() { std::filesystem::remove_all(path_); }
  PumpFixture(const PumpFixture&) = delete;
  PumpFixture& operator=(const PumpFixture&) = delete;

  void block() const { std::ofstream(path_ + "/output") << "no folder"; }
  void unblock() const { std::filesystem::remove(path_ + "/output"); }

  [[nodiscard]] std::string folder(uint64_t handle, const std::string& base = "output") const {
    return path_ + "/" + base + "/" + std::to_string(handle) + "/1";
  }
  [[nodiscard]] std::string fifo(uint64_t handle) const {
    return path_ + "/" + std::to_string(handle) + ".fifo";
  }

  // The writing end; the reading one is the pump's, as `pipes`.
  UniqueFd make_fifo(uint64_t handle, std::vector<OutputPipe>* pipes) const {
    REQUIRE(::mkfifo(fifo(handle).c_str(), 0600) == 0);
    absl::StatusOr<UniqueFd> reader = open_fifo(fifo(handle));
    REQUIRE(reader.ok());
    pipes->push_back({kMerged, *std::move(reader), fifo(handle)});
    UniqueFd writer(::open(fifo(handle).c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(writer.valid());
    return writer;
  }

  void on_news(OutputNews news) {
    const std::lock_guard lock(mutex_);
    if (auto* finished = std::get_if<OutputFinished>(&news)) {
      finished_[finished->handle] = std::move(*finished);
    } else if (auto* grown = std::get_if<OutputGrown>(&news)) {
      for (const auto& item : grown->items) {
        ++grown_[item.handle];
        lengths_[item.handle] = item.output.total_bytes();
        kept_[item.handle] = item.output.total_bytes() - item.output.first_kept();
      }
    } else if (auto* lost = std::get_if<OutputLost>(&news)) {
      lost_[lost->handle] = std::move(*lost);
    } else {
      limits_.push_back(std::get<OutputLimitMet>(std::move(news)).limit);
    }
    changed_.notify_all();
  }
  OutputFinished wait_finished(uint64_t handle) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 30s, [&] { return finished_.contains(handle); }));
    return finished_[handle];
  }
  [[nodiscard]] bool wait_grown(uint64_t handle, int times = 1) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, [&] { return grown_[handle] >= times; });
  }
  // Waits until a stream is told to be as long.
  void wait_length(uint64_t handle, uint64_t bytes) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 30s, [&] { return lengths_[handle] >= bytes; }));
  }
  [[nodiscard]] uint64_t kept(uint64_t handle) {
    const std::lock_guard lock(mutex_);
    return kept_[handle];
  }
  [[nodiscard]] OutputLost lost(uint64_t handle) {
    const std::lock_guard lock(mutex_);
    return lost_[handle];
  }
  std::vector<std::string> wait_limits() {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, 30s, [&] { return !limits_.empty(); }));
    return limits_;
  }
  [[nodiscard]] bool has_finished(uint64_t handle) {
    const std::lock_guard lock(mutex_);
    return finished_.contains(handle);
  }

 private:
  std::string path_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, OutputFinished> finished_;  // guarded by mutex_, as all below
  std::map<uint64_t, int> grown_;
  std::map<uint64_t, uint64_t> lengths_;
  std::map<uint64_t, uint64_t> kept_;
  std::map<uint64_t, OutputLost> lost_;
  std::vector<std::string> limits_;
};

// Takes what is written to standard error, until its end.
class ErrorOutput {
 public:
  explicit ErrorOutput(std::string path)
      : path_(std::move(path)), before_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    REQUIRE(::dup2(file.get(), STDERR_FILENO) == STDERR_FILENO);
  }
  ~ErrorOutput() { (void)::dup2(before_.get(), STDERR_FILENO); }
  ErrorOutput(const ErrorOutput&) = delete;
  ErrorOutput& operator=(const ErrorOutput&) = delete;

  [[nodiscard]] int64_t count_lines() const {
    std::ifstream file(path_);
    return std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n');
  }

 private:
  std::string path_;
  UniqueFd before_;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_all(const UniqueFd& writer, const std::string& text) {
  REQUIRE(::write(writer.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

TEST_CASE("what is in the pipe of an ended attempt waits until its log can be written", "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  std::vector<OutputPipe> other_pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  const UniqueFd other = fixture.make_fifo(2, &other_pipes);
  const std::string text(60'000, 'x');
  write_all(writer, text);
  fixture.block();

  pump.add(1, fixture.folder(1), {.patience = 60s}, std::move(pipes));
  pump.finish(1);
  pump.add(2, fixture.folder(2, "elsewhere"), {}, std::move(other_pipes));
  pump.finish(2);
  (void)fixture.wait_finished(2);  // the order before it was carried out, in vain
  CHECK_FALSE(fixture.has_finished(1));
  fixture.unblock();
  const OutputFinished finished = fixture.wait_finished(1);

  CHECK(fixture.lost(1).bytes == 0);
  REQUIRE(finished.outputs.size() == 1);
  CHECK(finished.outputs[0].total_bytes() == text.size());
  CHECK(finished.tail == text.substr(0, 4096));
  CHECK(read_file(fixture.folder(1) + "/merged.log") == text);
  CHECK_FALSE(std::filesystem::exists(fixture.fifo(1)));
}

TEST_CASE("patience with a log that cannot be written has an end, and says what was lost",
          "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  write_all(writer, "lost");
  fixture.block();

  pump.add(1, fixture.folder(1), {.patience = 50ms}, std::move(pipes));
  pump.finish(1);
  const OutputFinished finished = fixture.wait_finished(1);

  CHECK(fixture.lost(1).bytes == 4);
  CHECK_THAT(fixture.lost(1).because, Catch::Contains("Not a directory"));
  REQUIRE(finished.outputs.size() == 1);
  CHECK(finished.outputs[0].total_bytes() == 4);
  CHECK(finished.outputs[0].first_kept() == 4);
  CHECK_FALSE(std::filesystem::exists(fixture.fifo(1)));
}

TEST_CASE("a running job's output is thrown away when patience has ended, and kept again later",
          "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  fixture.block();
  pump.add(1, fixture.folder(1), {.patience = 50ms}, std::move(pipes));

  // More than a pipe holds: who writes it waits for nobody for ever.
  write_all(writer, std::string(3 << 20, 'x'));
  fixture.wait_length(1, 3 << 20);
  fixture.unblock();
  write_all(writer, "kept");
  fixture.wait_length(1, (3 << 20) + 4);
  // The log is tried again now and then: what comes until then is lost too.
  uint64_t length = (3 << 20) + 4;
  for (int i = 0; i < 1000 && fixture.kept(1) == 0; ++i) {
    write_all(writer, "more");
    fixture.wait_length(1, length += 4);
    std::this_thread::sleep_for(10ms);  // the pump's clock goes on, not ours
  }
  pump.finish(1);
  const OutputFinished finished = fixture.wait_finished(1);

  REQUIRE(finished.outputs.size() == 1);
  CHECK(finished.outputs[0].first_kept() == fixture.lost(1).bytes);
  CHECK(finished.outputs[0].first_kept() < finished.outputs[0].total_bytes());
  CHECK_THAT(finished.tail, Catch::EndsWith("more"));
}

TEST_CASE("a job that stops at a limit is told once, and never waits", "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  pump.add(1, fixture.folder(1), {.max_bytes = 100, .stops = true}, std::move(pipes));

  write_all(writer, std::string(3 << 20, 'x'));
  const std::vector<std::string> limits = fixture.wait_limits();
  pump.finish(1);
  const OutputFinished finished = fixture.wait_finished(1);

  REQUIRE(limits.size() == 1);
  CHECK_THAT(limits[0], Catch::StartsWith("it wrote more than 100 bytes"));
  REQUIRE(finished.outputs.size() == 1);
  CHECK(finished.outputs[0].total_bytes() == 100);
  CHECK(read_file(fixture.folder(1) + "/merged.log") == std::string(100, 'x'));
}

TEST_CASE("a job that stops does so where its log cannot be written", "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  fixture.block();
  pump.add(1, fixture.folder(1), {.max_bytes = 100, .stops = true, .patience = 50ms},
           std::move(pipes));

  write_all(writer, std::string(3 << 20, 'x'));
  const std::vector<std::string> limits = fixture.wait_limits();

  CHECK_THAT(limits[0], Catch::StartsWith("its output could not be written") &&
                            Catch::Contains("Not a directory"));
}

TEST_CASE("a stalled stream is logged once, and goes on while another one floods", "[pump]") {
  PumpFixture fixture;
  OutputPump pump([&fixture](OutputNews news) { fixture.on_news(std::move(news)); });
  std::vector<OutputPipe> pipes;
  std::vector<OutputPipe> flood_pipes;
  const UniqueFd writer = fixture.make_fifo(1, &pipes);
  const UniqueFd flood = fixture.make_fifo(2, &flood_pipes);
  const ErrorOutput log(fixture.fifo(1) + ".log");
  fixture.block();
  pump.add(1, fixture.folder(1), {.patience = 60s}, std::move(pipes));
  pump.add(2, fixture.folder(2, "elsewhere"), {.max_bytes = 1 << 20}, std::move(flood_pipes));
  write_all(writer, "patient\n");
  for (int i = 1; i <= 50; ++i) {
    write_all(flood, "a little\n");
    REQUIRE(fixture.wait_grown(2, i));
  }
  const int64_t lines = log.count_lines();
  std::atomic<bool> is_over = false;
  std::thread flooding([&] {
    const std::string block(4096, 'f');
    while (!is_over && ::write(flood.get(), block.data(), block.size()) > 0) {
    }
  });
  fixture.unblock();
  const bool has_gone_on = fixture.wait_grown(1);
  is_over = true;
  flooding.join();

  CHECK(lines == 1);
  CHECK(has_gone_on);
}

}  // namespace
}  // namespace clusterd
