// The launcher alone, for tests whose own executable is not clusterd.
#include "worker/launcher/run_launcher.h"

int main(int argc, char** argv) { return clusterd::run_launcher(argc - 1, argv + 1); }
