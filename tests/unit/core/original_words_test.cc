#include "core/original_words.h"

#include <catch2/catch.hpp>

#include "clusterd/job_states.h"

using namespace clusterd;

TEST_CASE("ends are told in the originals' words and read from them", "[original_words]") {
  struct Row {
    v1::JobEnd::Reason reason;
    int exit_code;  // −1: unknown
    int signal;     // 0: none
    const char* text;
  };
  const Row row =
      GENERATE(Row{v1::JobEnd::EXITED, 0, 0, ""}, Row{v1::JobEnd::EXITED, 3, 0, "exit status 3"},
               Row{v1::JobEnd::EXITED, 255, 0, "exit status 255"},
               Row{v1::JobEnd::SIGNALED, -1, 9, "signal: killed"},
               Row{v1::JobEnd::SIGNALED, -1, 11, "signal: segmentation fault"},
               Row{v1::JobEnd::SIGNALED, -1, 15, "signal: terminated"},
               Row{v1::JobEnd::SIGNALED, -1, 34, "signal: signal 34"});
  v1::JobEnd end;
  end.set_reason(row.reason);
  if (row.exit_code >= 0) end.set_exit_code(row.exit_code);
  if (row.signal > 0) end.set_signal(row.signal);
  CAPTURE(row.text);

  const v1::JobEnd read = end_of_original(*row.text != '\0', row.text, false);

  CHECK(original_error_text(end) == row.text);
  CHECK(read.SerializeAsString() == end.SerializeAsString());
}

TEST_CASE("an end that has no such words tells its message", "[original_words]") {
  v1::JobEnd lost;
  lost.set_reason(v1::JobEnd::WORKER_LOST);
  v1::JobEnd cancelled;
  cancelled.set_reason(v1::JobEnd::CANCELLED_BEFORE_START);

  CHECK(original_error_text(lost) == "WORKER_LOST");
  lost.set_message("silent");
  CHECK(original_error_text(lost) == "silent");
  CHECK(original_error_text(cancelled) == "signal: killed");
}

TEST_CASE("a signal that was ours is a stop, one with a core dump is that signal",
          "[original_words]") {
  CHECK(end_of_original(true, "signal: killed", true).reason() == v1::JobEnd::STOP_REQUESTED);
  CHECK(end_of_original(false, "", true).exit_code() == 0);  // it ended before the stop
  CHECK(end_of_original(true, "signal: aborted (core dumped)", false).signal() == 6);
}

TEST_CASE("other words fail the job and never give it a code", "[original_words]") {
  const char* text = GENERATE("", "boom", "exit status", "exit status x", "exit status 256",
                              "exit status -1", "signal: unheard of", "signal: signal 65");
  CAPTURE(text);

  const v1::JobEnd end = end_of_original(true, text, false);

  CHECK_FALSE(end.has_exit_code());
  CHECK_FALSE(end.has_signal());
  CHECK(end.message() == text);
  CHECK(state_of(end) == v1::Job::FAILED);
}

TEST_CASE("words that are no text are kept as valid UTF-8", "[original_words]") {
  CHECK(end_of_original(true, "a\xff", false).message() == "a\xEF\xBF\xBD");
}
