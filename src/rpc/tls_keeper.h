#pragma once

#include <grpcpp/security/auth_metadata_processor.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/reloader.h"
#include "rpc/memory_file.h"
#include "rpc/tls_material.h"

namespace clusterd {

// Keeps one side's certificates while it runs: reads them again when asked to, keeps the last good
// ones where the new ones are faulty, and gives gRPC credentials. New connections of a listener use
// what is current, a second later at most; those that stand go on with what they have.
//
// Owned by run_scheduler, run_worker and SchedulerClient; outlives all connections. current() and
// generation() on any thread, reload() and remind() on one at a time.
class TlsKeeper {
 public:
  // INVALID_ARGUMENT names key, file and fault. `component` is the daemon's name in the log; empty:
  // nothing is logged, errors are told to callers alone.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TlsKeeper>> make(std::string component,
                                                                       TlsSettings settings);
  TlsKeeper(const TlsKeeper&) = delete;
  TlsKeeper& operator=(const TlsKeeper&) = delete;

  // The verifier and what it verifies with.
  [[nodiscard]] std::shared_ptr<const TlsMaterial> current() const { return material_.load(); }
  // Grows with each set of certificates; 1 at first.
  [[nodiscard]] uint64_t generation() const { return generation_; }

  // For a listener. With `demand_certificate` a caller must have one; without, one that it shows
  // must be good. `processor` judges calls that no handler of ours sees.
  [[nodiscard]] std::shared_ptr<grpc::ServerCredentials> server_credentials(
      bool demand_certificate, std::shared_ptr<grpc::AuthMetadataProcessor> processor);
  // For a channel to one peer, which shows what is current now whenever it connects: after a reload
  // a new channel is needed.
  [[nodiscard]] std::shared_ptr<grpc::ChannelCredentials> channel_credentials(
      ExpectedPeer expected) const;

  // Reads the files again and uses them if they are good; logs either way. On error what was is
  // kept.
  absl::Status reload();
  // What it reads.
  [[nodiscard]] std::vector<std::string> files() const;
  // The end of our certificate; none where we show none.
  [[nodiscard]] std::optional<std::chrono::system_clock::time_point> not_after() const;
  // Warns once a day from two weeks before our certificate's end on.
  void remind(std::chrono::system_clock::time_point now);
  // What a Reloader does with it; `then` follows each reload that succeeded, and
  // comes once a minute, for certificates that have ended.
  [[nodiscard]] Reloadable reloadable(std::function<void()> then);

 private:
  TlsKeeper(std::string component, TlsSettings settings);
  absl::Status adopt(std::shared_ptr<const TlsMaterial> material);

  const std::string component_;
  const TlsSettings settings_;
  // Shared with the verifiers of connections that are being made.
  std::atomic<std::shared_ptr<const TlsMaterial>> material_;
  std::atomic<uint64_t> generation_ = 0;
  MemoryFile key_and_chain_;
  std::chrono::system_clock::time_point next_reminder_;
  // Shared with the listener's credentials; null before there are any. After the file that it
  // reads: it ends first.
  std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider_;
};

}  // namespace clusterd
