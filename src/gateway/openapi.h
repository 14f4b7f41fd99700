#pragma once

#include <string>

#include "gateway/route_table.h"

namespace clusterd::gateway {

// The HTTP API as an OpenAPI 3.1 document (JSON, indented by nothing): the routes of `routes`, the
// messages that they carry, the schema's comments as descriptions, its examples, and the errors
// that the comments of a call name.
[[nodiscard]] std::string openapi_document(const RouteTable& routes);

}  // namespace clusterd::gateway
