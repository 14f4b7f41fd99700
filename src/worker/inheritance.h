#pragma once

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clusterd/internal/launcher.pb.h"
#include "worker/unique_fd.h"

namespace clusterd {

// What a process keeps while it replaces its executable in place (execve): descriptors, and a
// message that says what they are. See `Inheritance` in launcher.proto.

// Descriptors that stay open over an execve from here on. Where none follows, the destructor
// closes them again to it.
class KeptDescriptors {
 public:
  KeptDescriptors() = default;
  ~KeptDescriptors();
  KeptDescriptors(const KeptDescriptors&) = delete;
  KeptDescriptors& operator=(const KeptDescriptors&) = delete;

  void keep(int descriptor);

 private:
  std::vector<int> descriptors_;
};

// A memory file with the message; it is to be kept like the descriptors.
[[nodiscard]] absl::StatusOr<UniqueFd> write_inheritance(const internal::Inheritance& message);

// What an earlier executable of this process has left. Each descriptor is closed over the next
// execve again, and with this where nobody has taken it.
class Inherited {
 public:
  Inherited() = default;
  // DATA_LOSS: there is no such message.
  [[nodiscard]] static absl::StatusOr<Inherited> read(int memory_file);

  [[nodiscard]] const internal::Inheritance& message() const { return message_; }
  [[nodiscard]] UniqueFd take_lock() { return take(message_.lock()); }
  [[nodiscard]] UniqueFd take_listener() { return take(message_.listener()); }
  // Invalid where it was not left.
  [[nodiscard]] UniqueFd take_pidfd(const v1::AttemptKey& key, int pid);
  [[nodiscard]] UniqueFd take_fifo(const v1::AttemptKey& key, v1::OutputStream::Stream stream);
  [[nodiscard]] UniqueFd take(int number);

 private:
  using Name = std::tuple<std::string, uint32_t, int, int>;  // job, attempt, kind, stream or pid

  [[nodiscard]] UniqueFd take_named(const Name& name);

  internal::Inheritance message_;
  std::map<int, UniqueFd> descriptors_;  // by number
  std::map<Name, int> numbers_;
};

}  // namespace clusterd
