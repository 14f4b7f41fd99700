#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/fuzz_bytes.h"
#include "fuzz/fuzz_folder.h"
#include "worker/output_files.h"
#include "worker/output_log.h"

// Beside a log of some bytes, a file of any that says what of it is kept: it is read, or refused as
// damaged, and no byte is made up.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace clusterd;
  constexpr auto kStream = v1::OutputStream::MERGED;
  static const fuzz::Folder made;
  const std::string& folder = made.path;
  fuzz::Bytes bytes(data, size);
  const std::string log(bytes.byte() * 7, 'o');
  const uint64_t offset = static_cast<uint64_t>(bytes.number());
  const auto lines = static_cast<uint32_t>(bytes.byte());
  std::ofstream(log_path(folder, kStream), std::ios::trunc) << log;
  {
    std::ofstream kept(folder + "/" + stream_name(kStream) + ".kept", std::ios::trunc);
    const std::string_view rest = bytes.rest();
    kept.write(rest.data(), static_cast<std::streamsize>(rest.size()));
  }
  (void)read_first_kept(folder, kStream);
  auto reader = OutputReader::open(folder, kStream);
  if (!reader.ok()) std::abort();
  const auto extent = reader->extent();
  const auto read = reader->read(offset, 100);
  if (read.ok() && read->data.size() > std::min<size_t>(100, log.size())) std::abort();
  const auto tail = reader->offset_of_tail(lines);
  if (extent.ok() && tail.ok() && *tail > std::max<uint64_t>(log.size(), extent->first_kept())) {
    std::abort();
  }
  return 0;
}
