// Loaded before the C library's own: while the file $FAULTY_DISK_SWITCH exists, writing and syncing
// files below $FAULTY_DISK_FOLDER fails with EIO. open(2), read(2) and what is below other folders
// go on as ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_faulty(int fd) {
  const char* folder = getenv("FAULTY_DISK_FOLDER");
  const char* name = getenv("FAULTY_DISK_SWITCH");
  char link[64];
  char path[4096];
  if (folder == NULL || name == NULL || access(name, F_OK) != 0) return 0;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  return strncmp(path, folder, strlen(folder)) == 0;
}

#define FAIL_IF_FAULTY(fd) \
  if (is_faulty(fd)) {     \
    errno = EIO;           \
    return -1;             \
  }
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
  FAIL_IF_FAULTY(fd)
  return REAL(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  FAIL_IF_FAULTY(fd)
  return REAL(pwrite)(fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  FAIL_IF_FAULTY(fd)
  return REAL(pwrite64)(fd, data, size, offset);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  FAIL_IF_FAULTY(fd)
  return REAL(writev)(fd, parts, count);
}
int fsync(int fd) {
  FAIL_IF_FAULTY(fd)
  return REAL(fsync)(fd);
}
int fdatasync(int fd) {
  FAIL_IF_FAULTY(fd)
  return REAL(fdatasync)(fd);
}
ssize_t splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size,
               unsigned int flags);
ssize_t splice(int in, off64_t* in_offset, int out, off64_t* out_offset, size_t size,
               unsigned int flags) {
  FAIL_IF_FAULTY(out)
  return REAL(splice)(in, in_offset, out, out_offset, size, flags);
}
