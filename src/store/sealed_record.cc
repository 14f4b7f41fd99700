#include "store/sealed_record.h"

#include <array>

#include "core/crc32c.h"

namespace clusterd {
namespace {

// Field 536870911, the largest that there may be, of wire type 5.
constexpr std::string_view kTag = "\xfd\xff\xff\xff\x0f";
constexpr size_t kSumBytes = 4;
constexpr size_t kSealBytes = kTag.size() + kSumBytes;

std::array<char, kSumBytes> sum_of(std::string_view bytes) {
  const uint32_t sum = crc32c(bytes);
  return {static_cast<char>(sum & 0xff), static_cast<char>((sum >> 8) & 0xff),
          static_cast<char>((sum >> 16) & 0xff), static_cast<char>(sum >> 24)};
}

}  // namespace

std::string seal(const google::protobuf::MessageLite& message) {
  std::string record;
  record.reserve(message.ByteSizeLong() + kSealBytes);
  message.AppendToString(&record);
  const auto sum = sum_of(record);
  record.append(kTag);
  record.append(sum.data(), sum.size());
  return record;
}

std::optional<std::string_view> unseal(std::string_view record) {
  if (record.size() < kSealBytes) return record;
  const std::string_view message = record.substr(0, record.size() - kSealBytes);
  const std::string_view end = record.substr(message.size());
  if (!end.starts_with(kTag)) return record;
  const auto sum = sum_of(message);
  if (end.substr(kTag.size()) != std::string_view(sum.data(), sum.size())) return std::nullopt;
  return message;
}

bool parse_sealed(std::string_view record, google::protobuf::MessageLite& message) {
  const auto bytes = unseal(record);
  return bytes && message.ParseFromArray(bytes->data(), static_cast<int>(bytes->size()));
}

}  // namespace clusterd
