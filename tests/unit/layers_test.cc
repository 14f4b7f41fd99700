// The shape of the source tree, checked on the tree itself.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;

// An include may point from a layer to itself or to one with a higher number. Layers that share
// a number never include each other.
struct Layer {
  std::string_view folder;
  int depth;
};
constexpr std::array<Layer, 10> kLayers{{{"cli", 1},
                                         {"bench", 2},
                                         {"scheduler", 3},
                                         {"worker", 3},
                                         {"client", 3},
                                         {"gateway", 4},
                                         {"store", 4},
                                         {"rpc", 5},
                                         {"core", 6},
                                         {"proto", 7}}};
constexpr Layer kMain{"main", 0};

std::optional<Layer> layer_of_folder(std::string_view folder) {
  const auto* const found =
      std::find_if(kLayers.begin(), kLayers.end(),
                   [folder](const Layer& layer) { return layer.folder == folder; });
  return found == kLayers.end() ? std::nullopt : std::optional<Layer>(*found);
}

// Where a quoted include leads; nullopt where it is not one of ours.
std::optional<Layer> layer_of_include(std::string_view path) {
  if (path.ends_with(".pb.h")) {
    return layer_of_folder("proto");
  }
  const std::string_view folder = path.substr(0, path.find('/'));
  return layer_of_folder(folder == "clusterd" ? "core" : folder);
}

// Why `from` must not include `path`; empty: it may.
std::string fault_of_include(const Layer& from, std::string_view path) {
  if (from.folder == "core" && (path.starts_with("grpc") || path.ends_with(".grpc.pb.h"))) {
    return "core knows no gRPC";
  }
  const std::optional<Layer> to = layer_of_include(path);
  if (!to || to->folder == from.folder || to->depth > from.depth) {
    return "";
  }
  return std::string(from.folder) + " must not include " + std::string(to->folder);
}

// The path between the quotes or angle brackets of an include line; empty for other lines.
std::string_view included_path(std::string_view line) {
  constexpr std::string_view kDirective = "#include ";
  if (!line.starts_with(kDirective)) {
    return {};
  }
  line.remove_prefix(kDirective.size() + 1);
  return line.substr(0, line.find_first_of("\">"));
}

struct SourceFile {
  std::string path;  // from the root of the project
  std::vector<std::string> lines;
};

std::vector<SourceFile> source_files(std::string_view folder) {
  const fs::path root = CLUSTERD_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    if (entry.path().extension() == ".h" || entry.path().extension() == ".cc") {
      SourceFile file{.path = fs::relative(entry.path(), root).string(), .lines = {}};
      std::ifstream stream(entry.path());
      for (std::string line; std::getline(stream, line);) {
        file.lines.push_back(line);
      }
      files.push_back(std::move(file));
    }
  }
  return files;
}

// "src/core/clock.h" → core; a file of src/ itself → main; of include/ → core.
Layer layer_of_file(std::string_view path) {
  if (!path.starts_with("src/")) {
    return *layer_of_folder("core");
  }
  const std::string_view rest = path.substr(4);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) {
    return kMain;
  }
  return layer_of_folder(rest.substr(0, slash)).value_or(kMain);
}

std::string text_of(std::string_view path) {
  std::ifstream stream(fs::path(CLUSTERD_SOURCE_DIR) / path);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("an include that points upwards or sideways is told", "[layers]") {
  const Layer core = *layer_of_folder("core");
  const Layer worker = *layer_of_folder("worker");
  const Layer store = *layer_of_folder("store");

  CHECK(fault_of_include(core, "rpc/credentials.h") == "core must not include rpc");
  CHECK(fault_of_include(worker, "scheduler/scheduler.h") == "worker must not include scheduler");
  CHECK(fault_of_include(store, "gateway/http_server.h") == "store must not include gateway");
  CHECK(fault_of_include(core, "grpcpp/grpcpp.h") == "core knows no gRPC");
  CHECK(fault_of_include(core, "clusterd/v1/worker_service.grpc.pb.h") == "core knows no gRPC");
  CHECK(fault_of_include(worker, "core/clock.h").empty());
  CHECK(fault_of_include(worker, "clusterd/v1/job.pb.h").empty());
  CHECK(fault_of_include(kMain, "cli/command_line.h").empty());
  CHECK(included_path("#include \"core/clock.h\"  // why") == "core/clock.h");
  CHECK(included_path("#include <grpcpp/grpcpp.h>") == "grpcpp/grpcpp.h");
}

TEST_CASE("every include of ours points down the list of layers", "[layers]") {
  std::vector<std::string> faults;
  size_t includes = 0;

  for (const std::string_view folder : {"src", "include"}) {
    for (const SourceFile& file : source_files(folder)) {
      const Layer layer = layer_of_file(file.path);
      for (const std::string& line : file.lines) {
        const std::string_view path = included_path(line);
        includes += path.empty() ? 0 : 1;
        if (const std::string fault = fault_of_include(layer, path); !fault.empty()) {
          faults.push_back(file.path + ": " + fault + " (" + std::string(path) + ")");
        }
      }
    }
  }

  CHECK(faults == std::vector<std::string>{});
  CHECK(includes > 100);
}

TEST_CASE("a file beyond the length limits is listed in docs/exceptions.md", "[layers]") {
  constexpr size_t kHeaderLines = 250;
  constexpr size_t kSourceLines = 600;
  const std::string exceptions = text_of("docs/exceptions.md");
  std::vector<std::string> faults;

  for (const std::string_view folder : {"src", "include", "tests"}) {
    for (const SourceFile& file : source_files(folder)) {
      const size_t limit = file.path.ends_with(".h") ? kHeaderLines : kSourceLines;
      if (file.lines.size() > limit &&
          exceptions.find("`" + file.path + "`") == std::string::npos) {
        faults.push_back(file.path + ": " + std::to_string(file.lines.size()) + " lines");
      }
    }
  }

  CHECK_FALSE(exceptions.empty());
  CHECK(faults == std::vector<std::string>{});
}
