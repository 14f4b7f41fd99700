#include "worker/inheritance.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

std::tuple<std::string, uint32_t, int, int> name_of(const v1::AttemptKey& key,
                                                    internal::PassedDescriptor::Kind kind,
                                                    int number) {
  return {key.job_id(), key.attempt(), static_cast<int>(kind), number};
}

}  // namespace

KeptDescriptors::~KeptDescriptors() {
  for (const int descriptor : descriptors_) (void)::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

void KeptDescriptors::keep(int descriptor) {
  if (descriptor >= 0 && ::fcntl(descriptor, F_SETFD, 0) == 0) descriptors_.push_back(descriptor);
}

absl::StatusOr<UniqueFd> write_inheritance(const internal::Inheritance& message) {
  UniqueFd file(::memfd_create("inheritance", MFD_CLOEXEC));
  const std::string bytes = message.SerializeAsString();
  if (!file.valid() ||
      ::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()) ||
      ::lseek(file.get(), 0, SEEK_SET) != 0) {
    return absl::InternalError(absl::StrCat("a memory file: ", std::strerror(errno)));
  }
  return file;
}

absl::StatusOr<Inherited> Inherited::read(int memory_file) {
  const UniqueFd file(memory_file);
  Inherited inherited;
  const bool is_good = inherited.message_.ParseFromFileDescriptor(file.get());
  const auto adopt = [&inherited](int number) {
    if (number <= STDERR_FILENO || ::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) return;
    inherited.descriptors_.emplace(number, UniqueFd(number));
  };
  adopt(inherited.message_.lock());
  adopt(inherited.message_.listener());
  for (const auto& descriptor : inherited.message_.descriptors()) {
    const internal::PassedDescriptor& what = descriptor.what();
    const bool is_fifo = what.kind() == internal::PassedDescriptor::FIFO;
    adopt(descriptor.number());
    inherited.numbers_.emplace(
        name_of(what.key(), what.kind(), is_fifo ? static_cast<int>(what.stream()) : what.pid()),
        descriptor.number());
  }
  if (is_good && inherited.descriptors_.contains(inherited.message_.lock())) return inherited;
  return absl::DataLossError(
      absl::StrCat("descriptor ", memory_file, " does not say what was inherited"));
}

UniqueFd Inherited::take(int number) {
  const auto found = descriptors_.find(number);
  if (found == descriptors_.end()) return {};
  UniqueFd descriptor = std::move(found->second);
  descriptors_.erase(found);
  return descriptor;
}

UniqueFd Inherited::take_named(const Name& name) {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? UniqueFd() : take(found->second);
}

UniqueFd Inherited::take_pidfd(const v1::AttemptKey& key, int pid) {
  return take_named(name_of(key, internal::PassedDescriptor::PIDFD, pid));
}

UniqueFd Inherited::take_fifo(const v1::AttemptKey& key, v1::OutputStream::Stream stream) {
  return take_named(name_of(key, internal::PassedDescriptor::FIFO, stream));
}

}  // namespace clusterd
