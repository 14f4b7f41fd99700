#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gateway/http_message.h"

namespace clusterd::gateway {

// Whether a request may be served as far as browsers are concerned. PERMISSION_DENIED: its host is
// neither an IP literal, `localhost`, nor in `allowed_hosts` (DNS rebinding); or `Sec-Fetch-Site`
// tells that a page of another site sent it, other than by a link to follow; or it changes
// something and `Origin` tells that.
[[nodiscard]] absl::Status check_browser_rules(const HttpRequest& request,
                                               const std::vector<std::string>& allowed_hosts);

}  // namespace clusterd::gateway
