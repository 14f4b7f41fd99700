#include "worker/launcher/startup_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace clusterd {
namespace {

// Of the executable, which dl_iterate_phdr(3) shows first, before all libraries.
int drop_unwritable(dl_phdr_info* program, size_t /*size*/, void* /*unused*/) {
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = program->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = (program->dlpi_addr + segment.p_vaddr) / page * page;
    const uintptr_t end = program->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 1;  // no further
}

}  // namespace

void drop_startup_pages() { (void)::dl_iterate_phdr(drop_unwritable, nullptr); }

}  // namespace clusterd
