#pragma once

#include <string>
#include <string_view>

namespace clusterd {

// `text` as a JSON string with its quotes; ill-formed UTF-8 is replaced.
[[nodiscard]] std::string json_quote(std::string_view text);

}  // namespace clusterd
