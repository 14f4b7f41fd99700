#include "clusterd/version.h"

#include "core/build_info.h"

namespace clusterd {

const char* version() { return kVersion; }

const char* build_description() { return kBuildDescription; }

}  // namespace clusterd
