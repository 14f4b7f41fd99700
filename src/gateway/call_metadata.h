#pragma once

#include "gateway/http_message.h"

namespace clusterd::gateway {

// What of an HTTP request's headers goes along with the call that it becomes, as metadata:
// `traceparent`, where there is one of that form. Another is left out, as its specification wants.
[[nodiscard]] HeaderList call_metadata(const HttpRequest& request);

}  // namespace clusterd::gateway
