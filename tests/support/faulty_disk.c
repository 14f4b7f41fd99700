// Loaded before the C library's own: while the file $FAULTY_DISK_SWITCH exists, writing and syncing
// files below $FAULTY_DISK_FOLDER fails with EIO. With the word "read-only" in it that is EROFS, and
// neither can files be made, opened to write, renamed or removed: as after the kernel has made a file
// system read-only that is in use. Reading, and what is below other folders, goes on as ever. With
// "clock SECONDS" in it nothing fails, and the wall clock is so far off.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// What stands in the switch; false: there is none.
static int is_on(char word[32]) {
  const char* name = getenv("FAULTY_DISK_SWITCH");
  memset(word, 0, 32);
  if (name == NULL || access(name, F_OK) != 0) return 0;
  const long file = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  (void)!read((int)file, word, 31);
  close((int)file);
  return 1;
}

// What is wrong with the disk now; 0: nothing.
static int fault(void) {
  char word[32];
  if (!is_on(word) || strncmp(word, "clock", 5) == 0) return 0;
  return strncmp(word, "read-only", 9) == 0 ? EROFS : EIO;
}

static long clock_step(void) {
  char word[32];
  return is_on(word) && strncmp(word, "clock ", 6) == 0 ? strtol(word + 6, NULL, 10) : 0;
}

static int is_below(const char* path) {
  const char* folder = getenv("FAULTY_DISK_FOLDER");
  return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int fault_of_file(int fd) {
  char link[64];
  char path[4096];
  const int error = fault();
  if (error == 0) return 0;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  return is_below(path) ? error : 0;
}

static int is_read_only(const char* path) { return fault() == EROFS && is_below(path); }

#define FAIL_IF_FAULTY(fd)             \
  const int error = fault_of_file(fd); \
  if (error != 0) {                    \
    errno = error;                     \
    return -1;                         \
  }
#define FAIL_IF_READ_ONLY(path) \
  if (is_read_only(path)) {     \
    errno = EROFS;              \
    return -1;                  \
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

#define OPEN(name)                                                                       \
  int name(const char* path, int flags, ...) {                                           \
    va_list rest;                                                                        \
    va_start(rest, flags);                                                               \
    const mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                                        \
    if ((flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0) {                                  \
      FAIL_IF_READ_ONLY(path)                                                            \
    }                                                                                    \
    return REAL(name)(path, flags, mode);                                                \
  }
OPEN(open)
OPEN(open64)
int mkdir(const char* path, mode_t mode) {
  FAIL_IF_READ_ONLY(path)
  return REAL(mkdir)(path, mode);
}
int rename(const char* from, const char* to) {
  FAIL_IF_READ_ONLY(from)
  return REAL(rename)(from, to);
}
int unlink(const char* path) {
  FAIL_IF_READ_ONLY(path)
  return REAL(unlink)(path);
}
int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = REAL(clock_gettime)(clock, time);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) time->tv_sec += clock_step();
  return result;
}
int gettimeofday(struct timeval* time, void* zone) {
  const int result = REAL(gettimeofday)(time, zone);
  time->tv_sec += clock_step();
  return result;
}
time_t time(time_t* result) {
  const time_t now = REAL(time)(NULL) + clock_step();
  if (result != NULL) *result = now;
  return now;
}
