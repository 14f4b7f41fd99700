#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "worker/launcher/journal.h"

namespace clusterd {
namespace {

constexpr const char* kBoot = "11111111-2222-3333-4444-555555555555";

struct Folder {
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "journal-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

internal::JournalIntent intent(uint64_t handle) {
  internal::JournalIntent intent;
  intent.set_handle(handle);
  intent.mutable_key()->set_job_id("job" + std::to_string(handle));
  return intent;
}

void append_intent(Journal& journal, uint64_t handle) {
  REQUIRE(journal.append(JournalType::kIntent, intent(handle).SerializeAsString()).ok());
}

TEST_CASE("a journal is read as it was written, without what was forgotten", "[journal]") {
  const Folder folder;
  JournalContent content;
  auto journal = Journal::open(folder.path, kBoot, &content);
  REQUIRE(journal.ok());
  CHECK(content.attempts.empty());
  append_intent(*journal, 1);
  append_intent(*journal, 2);
  internal::JournalEnd end;
  end.set_handle(1);
  end.mutable_end()->set_exit_code(3);
  REQUIRE(journal->append(JournalType::kEnd, end.SerializeAsString()).ok());
  const uint64_t forgotten = 2;
  REQUIRE(journal
              ->append(JournalType::kForgotten,
                       {reinterpret_cast<const char*>(&forgotten), sizeof(forgotten)})
              .ok());

  auto again = Journal::open(folder.path, kBoot, &content);

  REQUIRE(again.ok());
  CHECK(again->id() == journal->id());
  CHECK(content.next_handle == 3);
  REQUIRE(content.attempts.size() == 1);
  CHECK(content.attempts[1].end->end().exit_code() == 3);
}

TEST_CASE("the journal of an earlier build is read with all that it holds", "[journal]") {
  std::ifstream file(CLUSTERD_SOURCE_DIR "/tests/recorded/launcher_journal_1.bin",
                     std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const JournalContent content = replay_journal(bytes);

  CHECK(content.intact_bytes == bytes.size());
  CHECK(content.journal_id == "a8b65d3f-ae6c-4b54-adf0-4ecb4ea70b81");
  CHECK(content.next_handle == 4);
  REQUIRE(content.attempts.size() == 3);
  const JournalAttempt& limited = content.attempts.at(1);
  CHECK(limited.intent.limits().pids() == 20);
  CHECK(limited.intent.timeout().seconds() == 3600);
  REQUIRE(limited.spawned.has_value());
  CHECK_FALSE(limited.end.has_value());
  CHECK(content.attempts.at(2).intent.output_mode() == v1::OutputSpec::SEPARATE);
  REQUIRE(content.attempts.at(3).end.has_value());
  CHECK(content.attempts.at(3).end->end().exit_code() == 37);
}

TEST_CASE("a torn tail is dropped at every length, and what follows is kept", "[journal]") {
  const std::string whole = make_record(JournalType::kIntent, intent(1).SerializeAsString());
  const std::string second = make_record(JournalType::kIntent, intent(2).SerializeAsString());
  for (size_t cut = 0; cut < second.size(); ++cut) {
    const JournalContent content = replay_journal(whole + second.substr(0, cut));
    CHECK(content.attempts.size() == 1);
    CHECK(content.intact_bytes == whole.size());
    CHECK(replay_journal(second.substr(0, cut) + whole).attempts.size() == 1);
  }
}

TEST_CASE("a record with a flipped bit is not believed", "[journal]") {
  const std::string whole = make_record(JournalType::kIntent, intent(1).SerializeAsString());
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CHECK(replay_journal(damaged).attempts.empty());
  }
}

TEST_CASE("a journal after a torn tail takes new records", "[journal]") {
  const Folder folder;
  JournalContent content;
  {
    auto journal = Journal::open(folder.path, kBoot, &content);
    REQUIRE(journal.ok());
    append_intent(*journal, 1);
  }
  std::ofstream(folder.path + "/journal", std::ios::app | std::ios::binary) << "CLJ1 half a rec";
  {
    auto journal = Journal::open(folder.path, kBoot, &content);
    REQUIRE(journal.ok());
    append_intent(*journal, 2);
  }

  REQUIRE(Journal::open(folder.path, kBoot, &content).ok());

  CHECK(content.attempts.size() == 2);
}

TEST_CASE("a compacted journal holds the same attempts under the same id", "[journal]") {
  const Folder folder;
  JournalContent content;
  auto journal = Journal::open(folder.path, kBoot, &content);
  REQUIRE(journal.ok());
  JournalAttempt attempt;
  attempt.intent = intent(7);
  attempt.spawned = JournalSpawned{.handle = 7, .pid = 42};
  append_intent(*journal, 1);

  auto file = Journal::write_beside(folder.path, journal->open_record(9) + attempt.to_records());
  REQUIRE(file.ok());
  const absl::Status adopted = journal->adopt(*std::move(file));
  REQUIRE(adopted.ok());
  append_intent(*journal, 10);
  auto again = Journal::open(folder.path, kBoot, &content);

  REQUIRE(again.ok());
  CHECK(again->id() == journal->id());
  CHECK(content.attempts.size() == 2);
  CHECK(content.attempts[7].spawned->pid == 42);
  CHECK(content.next_handle == 11);
}

}  // namespace
}  // namespace clusterd
