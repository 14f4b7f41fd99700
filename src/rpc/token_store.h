#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/identity.h"
#include "rpc/token_file.h"

namespace clusterd {

// The bearer tokens that are good now, from a file that may change at any time.
//
// Any thread: a look-up takes the records as they are at that moment, and a reload replaces them as
// a whole. Owned by run_scheduler; outlives the servers.
class TokenStore {
 public:
  // Errors of read_token_file(); a file that is not there is one of them.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TokenStore>> open(const std::string& path);

  // Reads the file again. After an error, which is that of the file, the records are as before.
  [[nodiscard]] absl::Status reload();

  // Whose secret this is. UNAUTHENTICATED: nobody's, or its token has expired. Takes as long for a
  // wrong secret as for a right one.
  [[nodiscard]] absl::StatusOr<Identity> identify(std::string_view secret, WallTime now) const;
  // Whether what identify() returned still holds: the token, its name and its role.
  [[nodiscard]] bool is_valid(const Identity& identity, WallTime now) const;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  using Records = std::vector<TokenRecord>;
  explicit TokenStore(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::atomic<std::shared_ptr<const Records>> records_;  // shared with the look-ups under way
};

// The secret in the value of an `authorization` header: "Bearer SECRET". UNAUTHENTICATED: another
// form. Points into `authorization`.
[[nodiscard]] absl::StatusOr<std::string_view> bearer_secret(std::string_view authorization);

// What Identity::credential begins with where a token proved the identity.
inline constexpr std::string_view kTokenCredential = "token:";

}  // namespace clusterd
