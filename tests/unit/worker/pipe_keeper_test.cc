#include "worker/launcher/pipe_keeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

#include "clusterd/internal/launcher.pb.h"

namespace clusterd {
namespace {

v1::AttemptKey key_of(const std::string& job_id) {
  v1::AttemptKey key;
  key.set_job_id(job_id);
  key.set_attempt(1);
  return key;
}

// One pipe whose reading end the attempt's record holds.
struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    pipes.push_back({v1::OutputStream::MERGED, UniqueFd(ends[0]), ""});
    writing.reset(ends[1]);
  }
  std::vector<OutputPipe> pipes;
  UniqueFd writing;
};

TEST_CASE("the worker's end holds a pipe as soon as it is kept", "[pipe_keeper]") {
  PipeKeeper keeper;
  FrameSocket worker{keeper.open()};
  Pipe pipe;

  const uint64_t number = keeper.keep(key_of("job"), pipe.pipes);

  CHECK(number > 0);
  CHECK(keeper.is_current(number));
  REQUIRE(::write(pipe.writing.get(), "text", 4) == 4);
  pipe.writing.reset();
  pipe.pipes.clear();  // as when the launcher is killed: only what is on its way is left
  REQUIRE(worker.receive().ok());
  internal::FromLauncher message;
  const auto frame = worker.next_frame();
  REQUIRE(frame.has_value());
  REQUIRE(message.ParseFromArray(frame->data(), static_cast<int>(frame->size())));
  REQUIRE(message.descriptors_size() == 1);
  CHECK(message.descriptors(0).key().job_id() == "job");
  CHECK(message.descriptors(0).kind() == internal::PassedDescriptor::FIFO);
  const std::vector<UniqueFd> taken = worker.take_descriptors(1);
  REQUIRE(taken.size() == 1);
  std::array<char, 8> text{};
  CHECK(::read(taken[0].get(), text.data(), text.size()) == 4);
}

TEST_CASE("nothing is kept where no worker is, or another one than before", "[pipe_keeper]") {
  PipeKeeper keeper;
  const Pipe pipe;
  CHECK(keeper.keep(key_of("nobody"), pipe.pipes) == 0);
  CHECK_FALSE(keeper.is_current(0));

  const UniqueFd first = keeper.open();
  const uint64_t number = keeper.keep(key_of("job"), pipe.pipes);
  CHECK(keeper.is_current(number));

  const UniqueFd second = keeper.open();
  CHECK_FALSE(keeper.is_current(number));
  keeper.close();
  CHECK(keeper.keep(key_of("late"), pipe.pipes) == 0);
}

TEST_CASE("a worker that does not read keeps nothing more, and does not hold a start up",
          "[pipe_keeper]") {
  PipeKeeper keeper;
  FrameSocket worker{keeper.open()};
  const Pipe pipe;
  int kept = 0;
  while (keeper.keep(key_of("job"), pipe.pipes) > 0) ++kept;
  CHECK(kept > 10);
  CHECK(keeper.keep(key_of("job"), pipe.pipes) == 0);

  REQUIRE(worker.receive().ok());

  CHECK(keeper.keep(key_of("job"), pipe.pipes) > 0);
}

}  // namespace
}  // namespace clusterd
