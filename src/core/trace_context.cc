#include "core/trace_context.h"

#include <algorithm>

namespace clusterd {
namespace {

constexpr size_t kBytes = 55;  // of version 00
constexpr size_t kMaxBytes = 128;
constexpr size_t kTraceIdAt = 3;
constexpr size_t kParentIdAt = 36;
constexpr size_t kFlagsAt = 53;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

bool is_trace_parent(std::string_view text) {
  if (text.size() < kBytes || text.size() > kMaxBytes) return false;
  const std::string_view version = text.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  const bool has_more = text.size() > kBytes;
  if (has_more && (version == "00" || text[kBytes] != '-')) return false;
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  return printable && text[kTraceIdAt - 1] == '-' && text[kParentIdAt - 1] == '-' &&
         text[kFlagsAt - 1] == '-' &&
         is_id(text.substr(kTraceIdAt, kParentIdAt - 1 - kTraceIdAt)) &&
         is_id(text.substr(kParentIdAt, kFlagsAt - 1 - kParentIdAt)) &&
         is_hex(text.substr(kFlagsAt, 2));
}

std::string_view trace_id_of(std::string_view trace_parent) {
  if (!is_trace_parent(trace_parent)) return {};
  return trace_parent.substr(kTraceIdAt, kParentIdAt - 1 - kTraceIdAt);
}

}  // namespace clusterd
