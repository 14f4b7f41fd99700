#include "worker/launcher/journal_record.h"

#include <cstddef>
#include <cstring>

#include "core/crc32c.h"

namespace clusterd {
namespace {

uint32_t record_crc(const JournalHeader& header, std::string_view body) {
  const std::string_view start(reinterpret_cast<const char*>(&header),
                               offsetof(JournalHeader, crc32c));
  return extend_crc32c(crc32c(start), body);
}

}  // namespace

void seal_record(JournalHeader* header, JournalType type, std::string_view body) {
  header->magic = JournalHeader::kMagic;
  header->type = static_cast<uint32_t>(type);
  header->body_bytes = static_cast<uint32_t>(body.size());
  header->crc32c = record_crc(*header, body);
}

std::string make_record(JournalType type, std::string_view body) {
  JournalHeader header;
  seal_record(&header, type, body);
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(body);
  return bytes;
}

bool parse_record(std::string_view bytes, JournalHeader* header, std::string_view* body) {
  if (bytes.size() < sizeof(JournalHeader)) return false;
  std::memcpy(header, bytes.data(), sizeof(JournalHeader));
  if (header->magic != JournalHeader::kMagic) return false;
  bytes.remove_prefix(sizeof(JournalHeader));
  if (bytes.size() < header->body_bytes) return false;
  *body = bytes.substr(0, header->body_bytes);
  return header->crc32c == record_crc(*header, *body);
}

}  // namespace clusterd
