#include "gateway/sse.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "core/field_error.h"
#include "core/utf8.h"
#include "gateway/problem.h"

namespace clusterd::gateway {
namespace {

constexpr std::pair<v1::OutputStream::Stream, std::string_view> kWords[] = {
    {v1::OutputStream::MERGED, "merged"},
    {v1::OutputStream::STDOUT, "stdout"},
    {v1::OutputStream::STDERR, "stderr"},
};

// Bytes at the end of `text` that begin a character which needs more; 0 to 3.
size_t cut_tail(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string sse_event(std::string_view id, std::string_view event, std::string_view data) {
  std::string out;
  if (!id.empty()) out.append("id: ").append(id).append("\n");
  if (!event.empty()) out.append("event: ").append(event).append("\n");
  while (true) {
    const size_t end = data.find('\n');
    out.append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return out + "\n";
}

std::string_view stream_word(v1::OutputStream::Stream stream) {
  for (const auto& [value, word] : kWords) {
    if (value == stream) return word;
  }
  return "merged";
}

absl::Status resume_from(std::string_view id, v1::StreamJobRequest& request) {
  const size_t first = std::min(id.find('.'), id.size());
  const size_t second = std::min(id.find('.', first + 1), id.size());
  const std::string_view word =
      second < id.size() ? id.substr(first + 1, second - first - 1) : std::string_view();
  uint32_t attempt = 0;
  uint64_t offset = 0;
  const auto* stream = std::find_if(std::begin(kWords), std::end(kWords),
                                    [word](const auto& entry) { return entry.second == word; });
  if (stream == std::end(kWords) || !read_number(id.substr(0, first), attempt) ||
      !read_number(id.substr(second + 1), offset)) {
    return invalid_field("Last-Event-ID", "must be <attempt>.<stream>.<offset>, as in an id");
  }
  request.set_attempt(attempt);
  request.set_offset(offset);
  request.set_tail_lines(0);
  // The one stream of a merged job is asked for without a name.
  request.set_stream(stream->first == v1::OutputStream::MERGED
                         ? v1::OutputStream::STREAM_UNSPECIFIED
                         : stream->first);
  return absl::OkStatus();
}

OutputEvents::OutputEvents(const v1::OutputStart& start)
    : prefix_(std::to_string(start.attempt()) + "." + std::string(stream_word(start.stream())) +
              "."),
      offset_(start.offset()) {}

std::string OutputEvents::event(std::string_view bytes) {
  offset_ += bytes.size();
  const std::string id = prefix_ + std::to_string(offset_);
  if (is_valid_utf8(bytes)) return sse_event(id, "", json_quote(bytes));
  return sse_event(id, "base64", absl::Base64Escape(absl::string_view(bytes.data(), bytes.size())));
}

std::string OutputEvents::on_bytes(std::string_view bytes) {
  std::string whole = std::move(cut_);
  whole += bytes;
  cut_ = whole.substr(whole.size() - cut_tail(whole));
  whole.resize(whole.size() - cut_.size());
  return whole.empty() ? "" : event(whole);
}

std::string OutputEvents::on_released(uint64_t offset) {
  std::string out = cut_.empty() ? "" : event(cut_);
  cut_.clear();
  const std::string json = absl::StrCat("{\"from\":\"", offset_, "\",\"to\":\"", offset, "\"}");
  offset_ = offset;
  return out + sse_event(prefix_ + std::to_string(offset_), "released", json);
}

std::string OutputEvents::on_end(std::string_view end_json) {
  std::string out = cut_.empty() ? "" : event(cut_);
  cut_.clear();
  return out + sse_event(prefix_ + std::to_string(offset_), "end", end_json);
}

}  // namespace clusterd::gateway
