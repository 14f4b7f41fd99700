#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config_keys.h"

namespace clusterd {

// The keys of one file as a table in Markdown: key, what it may be, default, meaning. A key outside
// of any table stands by its name alone.
[[nodiscard]] std::string config_table(const std::vector<ConfigKey>& keys);

// `manual` with `table` between the line `<!-- keys of NAME … -->` and the next line
// `<!-- end of keys -->`; `manual` as it is where these are not there.
[[nodiscard]] std::string with_table(const std::string& manual, std::string_view name,
                                     const std::string& table);

}  // namespace clusterd
