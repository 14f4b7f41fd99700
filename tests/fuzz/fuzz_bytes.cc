#include "fuzz/fuzz_bytes.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace clusterd::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kDeepest = 6;
constexpr size_t kMostRepeated = 3;
constexpr std::array<const char*, 12> kTexts = {"",    "job-1", "job-2",  "job-1.0",
                                                "w",   "a",     "zone=a", "@daily",
                                                "UTC", "../x",  "job.sh", "\xc3\xa4"};

double real(Bytes& bytes) {
  constexpr std::array kReals = {0.0,
                                 0.5,
                                 -1.0,
                                 1e300,
                                 std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()};
  return bytes.flag() ? kReals.at(bytes.below(kReals.size())) : static_cast<double>(bytes.number());
}

void set_one(Message& message, const FieldDescriptor& field, Bytes& bytes, int depth) {
  const Reflection& reflection = *message.GetReflection();
  const bool many = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto value = static_cast<int32_t>(bytes.number());
      return many ? reflection.AddInt32(&message, &field, value)
                  : reflection.SetInt32(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t value = bytes.number();
      return many ? reflection.AddInt64(&message, &field, value)
                  : reflection.SetInt64(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_UINT32: {
      const auto value = static_cast<uint32_t>(bytes.number());
      return many ? reflection.AddUInt32(&message, &field, value)
                  : reflection.SetUInt32(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      const auto value = static_cast<uint64_t>(bytes.number());
      return many ? reflection.AddUInt64(&message, &field, value)
                  : reflection.SetUInt64(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double value = real(bytes);
      return many ? reflection.AddDouble(&message, &field, value)
                  : reflection.SetDouble(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_FLOAT: {
      const auto value = static_cast<float>(bytes.number());
      return many ? reflection.AddFloat(&message, &field, value)
                  : reflection.SetFloat(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      const bool value = bytes.flag();
      return many ? reflection.AddBool(&message, &field, value)
                  : reflection.SetBool(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      // Numbers without a name too: newer programs know more.
      const auto value = static_cast<int>(bytes.byte() % 20);
      return many ? reflection.AddEnumValue(&message, &field, value)
                  : reflection.SetEnumValue(&message, &field, value);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      std::string value = bytes.text();
      return many ? reflection.AddString(&message, &field, std::move(value))
                  : reflection.SetString(&message, &field, std::move(value));
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (depth >= kDeepest) return;
      return fill(many ? *reflection.AddMessage(&message, &field)
                       : *reflection.MutableMessage(&message, &field),
                  bytes, depth + 1);
  }
}

}  // namespace

uint8_t Bytes::byte() {
  if (left_.empty()) return 0;
  const auto value = static_cast<uint8_t>(left_.front());
  left_.remove_prefix(1);
  return value;
}

int64_t Bytes::number() {
  switch (below(6)) {
    case 0:
      return byte() % 4;
    case 1:
      return byte();
    case 2:
      return byte() * 1000;
    case 3:
      return -static_cast<int64_t>(byte());
    case 4:
      return std::numeric_limits<int64_t>::max() - byte();
    default:
      return std::numeric_limits<int64_t>::min() + byte();
  }
}

std::string Bytes::text() {
  const size_t choice = byte() % (kTexts.size() + 2);
  if (choice < kTexts.size()) return kTexts.at(choice);
  std::string text;
  const size_t size = byte() % 64;
  while (text.size() < size && !empty()) text.push_back(static_cast<char>(byte() & 0x7f));
  return choice == kTexts.size() ? text : std::string(size * 100, 'x');
}

void fill(Message& message, Bytes& bytes, int depth) {
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count() && !bytes.empty(); ++i) {
    // Most fields of a message are left alone by most callers.
    const size_t choice = bytes.below(4);
    if (choice == 0) continue;
    const FieldDescriptor& field = *type.field(i);
    const size_t times = field.is_repeated() ? std::min(choice, kMostRepeated) : 1;
    for (size_t n = 0; n < times; ++n) set_one(message, field, bytes, depth);
  }
}

}  // namespace clusterd::fuzz
