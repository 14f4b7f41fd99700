#include "clusterd/version.h"

namespace clusterd {

const char* version() { return CLUSTERD_VERSION; }

const char* build_description() { return CLUSTERD_BUILD; }

}  // namespace clusterd
