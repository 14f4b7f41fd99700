#include <isa-l/crc.h>

#include <catch2/catch.hpp>
#include <string>

namespace {

unsigned int crc32c(std::string bytes) {
  return ~crc32_iscsi(reinterpret_cast<unsigned char*>(bytes.data()),
                      static_cast<int>(bytes.size()), ~0U);
}

}  // namespace

// RFC 3720, appendix B.4, and the usual check value.
TEST_CASE("the checksum of a static build is CRC32C", "[crc32c]") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xE3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
}

TEST_CASE("a checksum can be made piece by piece", "[crc32c]") {
  std::string first = "the bytes that one attempt ";
  std::string second = "of one job has written";

  unsigned int crc = ~0U;
  for (std::string* piece : {&first, &second}) {
    crc = crc32_iscsi(reinterpret_cast<unsigned char*>(piece->data()),
                      static_cast<int>(piece->size()), crc);
  }

  CHECK(~crc == crc32c(first + second));
}

TEST_CASE("a long text has the sum of its bytes one by one", "[crc32c]") {
  std::string text;
  for (unsigned int i = 0; i < 20'011; ++i) text += static_cast<char>(i * i >> 3);

  unsigned int crc = ~0U;
  for (char& byte : text) crc = crc32_iscsi(reinterpret_cast<unsigned char*>(&byte), 1, crc);

  CHECK(~crc == crc32c(text));
}
