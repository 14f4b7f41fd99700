#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace clusterd {

// The small text files by which the kernel shows and takes what concerns a cgroup. `folder` is a
// descriptor of the cgroup's folder. Any thread.

// Empty where there is no such file.
[[nodiscard]] std::string read_cgroup_file(int folder, const char* name);
// The same by a descriptor that is kept open.
[[nodiscard]] std::string reread_file(int file);

// An error names the file, the text and why the kernel refused it. NOT_FOUND: no such file.
[[nodiscard]] absl::Status write_cgroup_file(int folder, const char* name, std::string_view text);

// The number behind `key` in lines "key number"; absent where there is no such line.
[[nodiscard]] std::optional<uint64_t> cgroup_number(std::string_view text, std::string_view key);

// Names of the folders directly below.
[[nodiscard]] std::vector<std::string> cgroup_children(int folder);

// Removes the folder and all below it. An error: a process is in one of them, and that one stays.
[[nodiscard]] absl::Status remove_cgroup(const std::string& path);

}  // namespace clusterd
