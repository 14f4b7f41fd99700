#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "rpc/identity.h"

namespace clusterd {

// One bearer token, as the tokens file has it (docs/formats.md): everything but the secret.
struct TokenRecord {
  std::string name;  // as in Identity; unique in a file
  Role role = Role::kReader;
  std::string sha256;  // of the secret, 64 lower-case hex digits
  WallTime created;
  std::optional<WallTime> expires;

  friend bool operator==(const TokenRecord&, const TokenRecord&) = default;
};

// The records in the text of a tokens file. INVALID_ARGUMENT with one line for every error in it,
// each "file:line: what is wrong, what is allowed"; never the text of a hash.
[[nodiscard]] absl::StatusOr<std::vector<TokenRecord>> parse_tokens(std::string_view text,
                                                                    std::string_view file);
[[nodiscard]] std::string format_tokens(const std::vector<TokenRecord>& records);

// A secret that nobody can guess: "clusterd_" and 43 letters, digits, '-' and '_' (256 bits).
[[nodiscard]] std::string new_token_secret();
// What a record keeps of a secret. Without salt: there is nothing to guess in 256 random bits.
[[nodiscard]] std::string token_hash(std::string_view secret);

// The records of a file on the disk. NOT_FOUND: there is none; FAILED_PRECONDITION: others may
// write it, or it is no regular file; INVALID_ARGUMENT as above, or more than 1 MiB.
[[nodiscard]] absl::StatusOr<std::vector<TokenRecord>> read_token_file(const std::string& path);

// A change of a tokens file: what was read (nothing where there is no file) is changed in `records`
// and put in its place at once, so that a reader sees the old file or the new one. A new file has
// mode 0600, an old one keeps its owner. Owned by the command that makes the change; one thread.
// Others that begin one in the same folder wait until it goes.
class TokenFileEdit {
 public:
  // Errors as of read_token_file(), but for NOT_FOUND of the file itself.
  [[nodiscard]] static absl::StatusOr<TokenFileEdit> begin(const std::string& path);
  ~TokenFileEdit();
  TokenFileEdit(TokenFileEdit&& other) noexcept;
  TokenFileEdit& operator=(TokenFileEdit&&) = delete;

  std::vector<TokenRecord> records;
  // After an error the file is as before.
  [[nodiscard]] absl::Status commit() const;

 private:
  TokenFileEdit(std::string path, int folder) : path_(std::move(path)), folder_(folder) {}

  std::string path_;
  int folder_;
};

}  // namespace clusterd
