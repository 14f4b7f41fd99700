#pragma once

namespace clusterd {

// Version of this build, "1.2.3". Static storage; any thread.
const char* version();

// Commit and build options on one line, for `clusterd --version`. Static storage; any thread.
const char* build_description();

}  // namespace clusterd
