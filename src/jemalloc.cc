// What jemalloc, the release executable's allocator, is told before main(): jemalloc(3), TUNING.

extern "C" const char* malloc_conf;

// Few arenas: what the threads of one burst have freed serves those of the next. What nobody has
// needed for half a second goes back to the system, also where the daemon has nothing to do.
const char* malloc_conf = "narenas:2,background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0";
