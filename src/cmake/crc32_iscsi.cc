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
// Eight bytes an instruction, which takes three cycles: three times as fast as the disk at least.
__attribute__((target("sse4.2"))) uint32_t by_instruction(const unsigned char* bytes, size_t size,
                                                          uint32_t crc) {
  uint64_t wide = crc;
  for (; size >= sizeof(uint64_t); size -= sizeof(uint64_t), bytes += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    wide = _mm_crc32_u64(wide, word);
  }
  return by_table(bytes, size, static_cast<uint32_t>(wide));
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
