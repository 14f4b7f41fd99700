// CRC32C with ISA-L's name and signature, for builds that link everything statically: Debian has
// ISA-L as a shared library only.
#include <isa-l/crc.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace {

constexpr uint32_t kReversedPolynomial = 0x82F63B78;

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kReversedPolynomial : 0);
    }
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = make_table();

uint32_t by_table(const unsigned char* bytes, size_t size, uint32_t crc) {
  for (size_t i = 0; i < size; ++i) {
    crc = (crc >> 8) ^ kTable[(crc ^ bytes[i]) & 0xFFU];
  }
  return crc;
}

#if defined(__x86_64__)
// Sums of three parts of so many bytes are made at once: an instruction takes three cycles, and one
// can begin in each.
constexpr size_t kPartBytes = 1024;

// What a part of zeros makes of a register, which is the exclusive or of what it makes of its
// bytes.
using Shift = std::array<std::array<uint32_t, 256>, 4>;

constexpr Shift make_shift() {
  Shift shift{};
  for (uint32_t bit = 0; bit < 32; ++bit) {
    uint32_t crc = 1U << bit;
    for (size_t i = 0; i < kPartBytes; ++i) crc = (crc >> 8) ^ kTable[crc & 0xFFU];
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if (((byte >> (bit % 8)) & 1U) != 0) shift[bit / 8][byte] ^= crc;
    }
  }
  return shift;
}

constexpr Shift kShift = make_shift();

uint32_t shifted(uint64_t crc) {
  return kShift[0][crc & 0xFFU] ^ kShift[1][(crc >> 8) & 0xFFU] ^ kShift[2][(crc >> 16) & 0xFFU] ^
         kShift[3][(crc >> 24) & 0xFFU];
}

uint64_t word_at(const unsigned char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

__attribute__((target("sse4.2"))) uint32_t by_instruction(const unsigned char* bytes, size_t size,
                                                          uint32_t crc) {
  uint64_t first = crc;
  for (; size >= 3 * kPartBytes; size -= 3 * kPartBytes, bytes += 3 * kPartBytes) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < kPartBytes; i += sizeof(uint64_t)) {
      first = _mm_crc32_u64(first, word_at(bytes + i));
      second = _mm_crc32_u64(second, word_at(bytes + kPartBytes + i));
      third = _mm_crc32_u64(third, word_at(bytes + 2 * kPartBytes + i));
    }
    first = shifted(shifted(first) ^ second) ^ third;
  }
  for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
    first = _mm_crc32_u64(first, word_at(bytes));
  }
  return by_table(bytes, size, static_cast<uint32_t>(first));
}
#endif

}  // namespace

// The register goes in and comes out as it is: the caller inverts it, as with ISA-L.
unsigned int crc32_iscsi(unsigned char* buffer, int len, unsigned int init_crc) {
  const auto size = static_cast<size_t>(len);
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") != 0) {
    return by_instruction(buffer, size, init_crc);
  }
#endif
  return by_table(buffer, size, init_crc);
}
