#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "rpc/token_store.h"
#include "support/scratch_folder.h"

using namespace clusterd;
using clusterd::testing::ScratchFolder;
using namespace std::chrono_literals;

namespace {

const std::string kHash(64, 'a');
const WallTime kNow = WallTime() + 1'800'000'000s;

TokenRecord record_of(const std::string& name, const std::string& secret, Role role) {
  return {.name = name, .role = role, .sha256 = token_hash(secret), .created = kNow};
}

std::string content_of(const std::string& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
  REQUIRE(chmod(path.c_str(), 0600) == 0);
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

}  // namespace

TEST_CASE("a tokens file comes back as it was written", "[tokens]") {
  TokenRecord expiring = record_of("ci-1", "x", Role::kReader);
  expiring.expires = kNow + 24h;
  const std::vector<TokenRecord> records = {record_of("alice", "s", Role::kAdmin), expiring};

  const auto read = parse_tokens(format_tokens(records), "tokens");

  REQUIRE(read.ok());
  CHECK(*read == records);
}

TEST_CASE("every fault of a tokens file is named with its line, and no hash", "[tokens]") {
  const std::string time = " 2026-01-31T08:00:00Z ";
  const auto read = parse_tokens(
      "# names\n\nalice operator sha256:" + kHash + time + "never\n" +
          "alice reader sha256:" + kHash + time + "never\n" + "bob worker sha256:" + kHash + time +
          "never\n" + "b/b reader sha256:" + kHash + time + "never\n" + "bob reader sha256:abc" +
          time + "never\n" + "bob reader " + kHash + time + "never\n" +
          "bob reader sha256:" + kHash + " yesterday never\n" + "bob reader sha256:" + kHash +
          time + "soon\n" + "bob reader sha256:" + kHash + "\n",
      "tokens");

  const std::string message(read.status().message());
  CHECK(absl::IsInvalidArgument(read.status()));
  CHECK_THAT(message, Catch::Contains("tokens:4: a second token \"alice\""));
  CHECK_THAT(message, Catch::Contains("tokens:5: \"worker\" is no role of a token"));
  CHECK_THAT(message, Catch::Contains("tokens:6: \"b/b\" is no name"));
  CHECK_THAT(message, Catch::Contains("tokens:7: the third column"));
  CHECK_THAT(message, Catch::Contains("tokens:8: the third column"));
  CHECK_THAT(message, Catch::Contains("tokens:9: \"yesterday\" is no time"));
  CHECK_THAT(message, Catch::Contains("tokens:10: \"soon\" is no time"));
  CHECK_THAT(message, Catch::Contains("tokens:11: has 3 columns"));
  CHECK_THAT(message, !Catch::Contains(kHash));
  CHECK_THAT(message, !Catch::Contains("tokens:3"));
}

TEST_CASE("secrets are long, of plain characters, and never the same", "[tokens]") {
  std::set<std::string> secrets;
  for (int i = 0; i < 100; ++i) secrets.insert(new_token_secret());

  CHECK(secrets.size() == 100);
  CHECK(secrets.begin()->size() == 52);
  CHECK(secrets.begin()->find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789_-") == std::string::npos);
}

TEST_CASE("a change makes a file that only its owner can read", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";

  auto edit = TokenFileEdit::begin(path);
  REQUIRE(edit.ok());
  edit->records.push_back(record_of("alice", "s", Role::kAdmin));
  REQUIRE(edit->commit().ok());

  CHECK(mode_of(path) == 0600);
  CHECK(read_token_file(path)->size() == 1);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("a file that others may write, or none, is refused", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  CHECK(absl::IsNotFound(read_token_file(path).status()));
  write(path, "");
  CHECK(read_token_file(path).ok());

  REQUIRE(chmod(path.c_str(), 0620) == 0);
  CHECK(absl::IsFailedPrecondition(read_token_file(path).status()));
  CHECK(absl::IsFailedPrecondition(TokenFileEdit::begin(path).status()));
  CHECK_FALSE(read_token_file(folder / ".").ok());
  write(folder / "large", std::string((1 << 20) + 1, '\n'));
  CHECK(absl::IsInvalidArgument(read_token_file(folder / "large").status()));
}

TEST_CASE("a file that cannot be read stays as it is when it would be changed", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  write(path, "nonsense\n");

  CHECK_FALSE(TokenFileEdit::begin(path).ok());
  CHECK(content_of(path) == "nonsense\n");
}

TEST_CASE("a token proves its name and role until it is taken away", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  write(path, format_tokens({record_of("alice", "right", Role::kOperator),
                             record_of("bob", "other", Role::kReader)}));
  const auto store = TokenStore::open(path);
  REQUIRE(store.ok());

  const auto identity = (*store)->identify("right", kNow);
  REQUIRE(identity.ok());
  CHECK(identity->text() == "client/operator/alice");
  CHECK((*store)->is_valid(*identity, kNow));
  CHECK(absl::IsUnauthenticated((*store)->identify("wrong", kNow).status()));
  CHECK(absl::IsUnauthenticated((*store)->identify("", kNow).status()));

  write(path, format_tokens({record_of("bob", "other", Role::kReader)}));
  CHECK((*store)->identify("right", kNow).ok());  // not read yet
  REQUIRE((*store)->reload().ok());
  CHECK(absl::IsUnauthenticated((*store)->identify("right", kNow).status()));
  CHECK_FALSE((*store)->is_valid(*identity, kNow));
}

TEST_CASE("a token that lost its role, or was made anew, is not the old one", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  write(path, format_tokens({record_of("alice", "right", Role::kOperator)}));
  const auto store = TokenStore::open(path);
  REQUIRE(store.ok());
  const auto identity = (*store)->identify("right", kNow);
  REQUIRE(identity.ok());

  write(path, format_tokens({record_of("alice", "right", Role::kReader)}));
  REQUIRE((*store)->reload().ok());
  CHECK_FALSE((*store)->is_valid(*identity, kNow));
  write(path, format_tokens({record_of("alice", "fresh", Role::kOperator)}));
  REQUIRE((*store)->reload().ok());
  CHECK_FALSE((*store)->is_valid(*identity, kNow));
}

TEST_CASE("a token ends with its time", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  TokenRecord record = record_of("alice", "right", Role::kOperator);
  record.expires = kNow + 1h;
  write(path, format_tokens({record}));
  const auto store = TokenStore::open(path);
  REQUIRE(store.ok());

  const auto identity = (*store)->identify("right", kNow + 59min);
  REQUIRE(identity.ok());
  CHECK((*store)->is_valid(*identity, kNow + 59min));
  CHECK_FALSE((*store)->is_valid(*identity, kNow + 1h));
  CHECK_THAT(std::string((*store)->identify("right", kNow + 1h).status().message()),
             Catch::Contains("\"alice\" has expired"));
}

TEST_CASE("a bad file leaves the last good tokens in force", "[tokens]") {
  const ScratchFolder folder;
  const std::string path = folder / "tokens";
  write(path, format_tokens({record_of("alice", "right", Role::kOperator)}));
  const auto store = TokenStore::open(path);
  REQUIRE(store.ok());

  write(path, "nonsense");
  CHECK_FALSE((*store)->reload().ok());
  CHECK((*store)->identify("right", kNow).ok());
  std::filesystem::remove(path);
  CHECK_FALSE((*store)->reload().ok());
  CHECK((*store)->identify("right", kNow).ok());
}
