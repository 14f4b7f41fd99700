#include "worker/library/handler_run.h"

#include "core/utf8.h"

namespace clusterd {
namespace {

constexpr size_t kMaxMessageBytes = 256;

}  // namespace

JobContext::Run::Run(v1::StartAttempt attempt, std::string folder, OutputBounds bounds,
                     RunObserver told)
    : order(std::move(attempt)), output(std::move(folder), bounds), observer(std::move(told)) {}

void JobContext::Run::write(std::string_view bytes) {
  (void)output.write(bytes);  // a limit that it met is seen by the observer
  observer.on_output();
}

std::streamsize JobContext::Run::Buffer::xsputn(const char* text, std::streamsize size) {
  run_.write({text, static_cast<size_t>(size)});
  return size;
}

JobContext::Run::Buffer::int_type JobContext::Run::Buffer::overflow(int_type c) {
  if (c == traits_type::eof()) return traits_type::not_eof(c);
  const char byte = traits_type::to_char_type(c);
  run_.write({&byte, 1});
  return c;
}

JobContext::JobContext(Run& run) : run_(run) {}
JobContext::~JobContext() = default;

const std::string& JobContext::job_id() const { return run_.order.key().job_id(); }
uint32_t JobContext::attempt() const { return run_.order.key().attempt(); }
const v1::JobSpec& JobContext::spec() const { return run_.order.spec(); }
std::vector<std::string> JobContext::args() const {
  return {spec().args().begin(), spec().args().end()};
}
const std::string& JobContext::input() const { return spec().stdin(); }

std::optional<uint32_t> JobContext::task_index() const {
  if (!run_.order.has_task_index()) return std::nullopt;
  return run_.order.task_index();
}

uint32_t JobContext::task_count() const { return run_.order.task_count(); }
void JobContext::write(std::string_view bytes) { run_.write(bytes); }
std::ostream& JobContext::out() { return run_.out(); }

void JobContext::progress(uint64_t done, uint64_t total, std::string_view message) {
  v1::Progress progress;
  progress.set_done(done);
  progress.set_total(total);
  std::string text = to_valid_utf8(message.substr(0, kMaxMessageBytes));
  while (text.size() > kMaxMessageBytes || !is_valid_utf8(text)) text.pop_back();
  progress.set_message(std::move(text));
  run_.observer.on_progress(std::move(progress));
}

std::stop_token JobContext::stop_token() const { return run_.stop.get_token(); }
bool JobContext::stop_requested() const { return run_.stop.stop_requested(); }
std::optional<std::chrono::steady_clock::time_point> JobContext::deadline() const {
  return run_.deadline;
}

}  // namespace clusterd
