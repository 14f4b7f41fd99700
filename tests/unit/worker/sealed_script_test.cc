#include "worker/launcher/sealed_script.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>

#include "core/sha256.h"
#include "worker/trusted_file.h"

namespace clusterd {
namespace fs = std::filesystem;
namespace {

constexpr char kText[] = "#!/bin/sh\necho one\n";

class Script {
 public:
  Script() {
    std::string name = fs::temp_directory_path() / "sealed-XXXXXX";
    root = fs::canonical(::mkdtemp(name.data()));
    std::ofstream(root / "a.sh") << kText;
    checked.set_path(root / "a.sh");
    checked.set_sealed(true);
  }
  ~Script() { fs::remove_all(root); }

  fs::path root;
  internal::CheckedScript checked;
};

}  // namespace

TEST_CASE("a sealed copy has the script's bytes and takes no others", "[sealed]") {
  const Script script;

  const auto copy = seal_script(script.checked);

  REQUIRE(copy.ok());
  std::array<char, 64> text{};
  CHECK(::read(copy->get(), text.data(), text.size()) == sizeof(kText) - 1);
  CHECK(std::string(text.data()) == kText);
  CHECK(::pwrite(copy->get(), "x", 1, 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(copy->get(), 0) == -1);
  const UniqueFd again(
      ::open(("/proc/self/fd/" + std::to_string(copy->get())).c_str(), O_RDWR | O_CLOEXEC));
  CHECK((!again.valid() || ::write(again.get(), "x", 1) == -1));
  CHECK(::mmap(nullptr, 1, PROT_WRITE, MAP_SHARED, copy->get(), 0) == MAP_FAILED);
}

TEST_CASE("a copy whose digest is another than was checked is refused", "[sealed]") {
  Script script;
  script.checked.set_sha256(sha256(kText));
  const auto good = seal_script(script.checked);
  std::ofstream(script.root / "a.sh", std::ios::app) << "echo two\n";

  const auto changed = seal_script(script.checked);

  CHECK(good.ok());
  CHECK(absl::IsFailedPrecondition(changed.status()));
  CHECK_THAT(std::string(changed.status().message()), Catch::Contains("was changed"));
}

TEST_CASE("a script that became a link, or is open to others, is not copied", "[sealed]") {
  Script script;
  ::chmod((script.root / "a.sh").c_str(), 0666);
  const auto open_to_others = seal_script(script.checked);
  fs::rename(script.root / "a.sh", script.root / "b.sh");
  fs::create_symlink("b.sh", script.root / "a.sh");
  const auto link = seal_script(script.checked);
  fs::remove(script.root / "a.sh");
  const auto gone = seal_script(script.checked);

  CHECK(absl::IsFailedPrecondition(open_to_others.status()));
  CHECK(absl::IsFailedPrecondition(link.status()));
  CHECK(absl::IsUnavailable(gone.status()));
}

TEST_CASE("a script that is too large for a copy is refused", "[sealed]") {
  const Script script;
  REQUIRE(::truncate((script.root / "a.sh").c_str(),
                     static_cast<off_t>(kMaxSealedScriptBytes) + 1) == 0);

  const auto copy = seal_script(script.checked);

  CHECK(absl::IsFailedPrecondition(copy.status()));
}

}  // namespace clusterd
