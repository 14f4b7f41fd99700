#include <cstdlib>

#include "fuzz/fuzz_bytes.h"
#include "worker/launcher/journal.h"
#include "worker/launcher/journal_record.h"

// A journal of any bytes is read as far as it is intact. Records whose checksums are right are
// given too: the first byte says which way.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd;
  fuzz::Bytes bytes(data, size);
  std::string file;
  if (bytes.flag()) {
    file = std::string(bytes.rest());
  } else {
    while (!bytes.empty()) {
      const auto type = static_cast<JournalType>(bytes.below(12));
      std::string body;
      const size_t length = bytes.byte();
      while (body.size() < length && !bytes.empty())
        body.push_back(static_cast<char>(bytes.byte()));
      file += make_record(type, body);
    }
  }
  const JournalContent content = replay_journal(file);
  if (content.intact_bytes > file.size()) std::abort();
  for (const auto& [handle, attempt] : content.attempts) (void)attempt.to_records();
  return 0;
}
