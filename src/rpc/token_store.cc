#include "rpc/token_store.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"

namespace clusterd {
namespace {

// Enough of the hash to tell one token from another, and too little to find it in the file by eye.
constexpr size_t kCredentialDigits = 16;
constexpr std::string_view kScheme = "bearer";

std::string credential_of(const TokenRecord& record) {
  return std::string(kTokenCredential) + record.sha256.substr(0, kCredentialDigits);
}

bool has_expired(const TokenRecord& record, WallTime now) {
  return record.expires && *record.expires <= now;
}

}  // namespace

absl::StatusOr<std::string_view> bearer_secret(std::string_view authorization) {
  const size_t space = authorization.find(' ');
  const std::string scheme(authorization.substr(0, space));
  if (absl::AsciiStrToLower(scheme) != kScheme || space == std::string_view::npos) {
    return absl::UnauthenticatedError("authorization must be \"Bearer\" and a token");
  }
  std::string_view secret = authorization.substr(space + 1);
  while (secret.starts_with(' ')) secret.remove_prefix(1);
  while (secret.ends_with(' ')) secret.remove_suffix(1);
  return secret;
}

absl::StatusOr<std::unique_ptr<TokenStore>> TokenStore::open(const std::string& path) {
  std::unique_ptr<TokenStore> store(new TokenStore(path));
  if (absl::Status status = store->reload(); !status.ok()) return status;
  return store;
}

absl::Status TokenStore::reload() {
  auto records = read_token_file(path_);
  if (!records.ok()) return records.status();
  records_.store(std::make_shared<const Records>(*std::move(records)));
  return absl::OkStatus();
}

absl::StatusOr<Identity> TokenStore::identify(std::string_view secret, WallTime now) const {
  const std::string hash = token_hash(secret);
  const auto records = records_.load();
  const TokenRecord* found = nullptr;
  for (const TokenRecord& record : *records) {  // all of them, whichever it is
    if (CRYPTO_memcmp(record.sha256.data(), hash.data(), hash.size()) == 0) found = &record;
  }
  if (found == nullptr) return absl::UnauthenticatedError("the bearer token is not known");
  if (has_expired(*found, now)) {
    return absl::UnauthenticatedError("the bearer token \"" + found->name + "\" has expired");
  }
  return Identity{.role = found->role, .name = found->name, .credential = credential_of(*found)};
}

bool TokenStore::is_valid(const Identity& identity, WallTime now) const {
  const auto records = records_.load();
  return std::any_of(records->begin(), records->end(), [&identity, now](const TokenRecord& record) {
    return credential_of(record) == identity.credential && record.name == identity.name &&
           record.role == identity.role && !has_expired(record, now);
  });
}

}  // namespace clusterd
