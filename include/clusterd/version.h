#pragma once

// Version of these headers. docs/library.md says what each part promises.
#define CLUSTERD_VERSION_MAJOR 0
#define CLUSTERD_VERSION_MINOR 1
#define CLUSTERD_VERSION_PATCH 0

namespace clusterd {

// Version of this build, "1.2.3". Static storage; any thread.
const char* version();

// Commit and build options on one line, for `clusterd --version`. Static storage; any thread.
const char* build_description();

}  // namespace clusterd
