#include "gateway/browser_rules.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"

namespace clusterd::gateway {
namespace {

std::string lower(std::string_view text) {
  return absl::AsciiStrToLower(absl::string_view(text.data(), text.size()));
}

// The host of "host:port", "[::1]:port" or either without a port; IPv6 without its brackets.
std::string host_of(std::string_view authority) {
  if (!authority.empty() && authority[0] == '[') {
    return std::string(authority.substr(1, authority.find(']') - 1));
  }
  return lower(authority.substr(0, authority.rfind(':')));
}

bool is_ip_literal(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool strip(std::string_view& text, std::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A proxy in front may speak TLS for us, so the scheme is not compared, but a port that only says
// the scheme's default is left out.
bool is_own_origin(std::string_view origin, std::string_view authority) {
  const std::string lowered = lower(origin);
  std::string_view theirs = lowered;
  const bool tls = strip(theirs, "https://");
  if (!tls && !strip(theirs, "http://")) return false;
  const std::string_view suffix = tls ? ":443" : ":80";
  std::string ours = lower(authority);
  if (ours.size() > suffix.size() && ours.substr(ours.size() - suffix.size()) == suffix) {
    ours.resize(ours.size() - suffix.size());
  }
  return !ours.empty() && theirs == ours;
}

}  // namespace

absl::Status check_browser_rules(const HttpRequest& request,
                                 const std::vector<std::string>& allowed_hosts) {
  const std::string host = host_of(request.authority);
  const bool listed =
      std::any_of(allowed_hosts.begin(), allowed_hosts.end(),
                  [&host](const std::string& allowed) { return lower(allowed) == host; });
  if (!listed && host != "localhost" && !is_ip_literal(host)) {
    return absl::PermissionDeniedError("host '" + host + "' is not in allowed_hosts");
  }
  const auto site = request.header("sec-fetch-site");
  const bool is_foreign = site && *site != "same-origin";
  const absl::Status foreign = absl::PermissionDeniedError(
      "a page of another site sent this (Sec-Fetch-Site: " + std::string(site.value_or("")) + ")");
  const bool reads = request.verb == "GET" || request.verb == "HEAD" || request.verb == "OPTIONS";
  if (reads) {
    // "none": somebody typed the address. A link from elsewhere shows a page and tells nobody.
    const bool shows = request.header("sec-fetch-mode").value_or("") == "navigate";
    return is_foreign && *site != "none" && !shows ? foreign : absl::OkStatus();
  }
  const auto origin = request.header("origin");
  if (origin && !is_own_origin(*origin, request.authority)) {
    return absl::PermissionDeniedError("origin '" + std::string(*origin) + "' is not ours");
  }
  return is_foreign ? foreign : absl::OkStatus();
}

}  // namespace clusterd::gateway
