#pragma once

#include <optional>
#include <string_view>

#include "gateway/http_message.h"

namespace clusterd::gateway {

// `path` belongs to the dashboard: one of its pages, which are all the same document, or below
// /web.
[[nodiscard]] bool is_dashboard_path(std::string_view path);

// What a GET or HEAD of such a path is answered with: a file that is part of this program, 304
// where `If-None-Match` has it, 404.
[[nodiscard]] HttpResponse dashboard_answer(const HttpRequest& request);

}  // namespace clusterd::gateway
