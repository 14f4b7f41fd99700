#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"

namespace clusterd {
namespace {

template <typename T>
std::pair<CLI::App*, std::shared_ptr<T>> add(CLI::App& store, Chosen& chosen,
                                             const std::string& name, const std::string& text) {
  CLI::App& app = *store.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  app.add_option("--config", command->store.config_file,
                 "The scheduler's configuration [/etc/clusterd/scheduler.toml]")
      ->type_name("FILE");
  app.add_option("--store", command->store.path, "The database itself [its store.path]")
      ->type_name("FILE");
  return {&app, command};
}

}  // namespace

void add_store_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& store = *app.add_subcommand("store", "Copy, restore and check a scheduler's store.");
  store.require_subcommand(1);

  const auto [export_app, exported] = add<StoreExportCommand>(
      store, chosen, "export",
      "Write all of a store to an archive, as of one moment; a scheduler may be using it.");
  export_app->add_option("FILE", exported->file, "The archive, or - for standard output")
      ->required();
  export_app->add_flag("--force", exported->force, "Replace the archive where there is one");

  const auto [import_app, imported] = add<StoreImportCommand>(
      store, chosen, "import", "Make a store from an archive, where there is none yet.");
  import_app->add_option("FILE", imported->file, "The archive")->required();

  const auto [check_app, checked] = add<StoreCheckCommand>(
      store, chosen, "check",
      "Look through all of a store, or of an archive, for damage; a scheduler may be using it.");
  check_app->add_option("--archive", checked->archive, "Look through this archive instead")
      ->type_name("FILE");
  check_app
      ->add_flag(
          "--repair", checked->repair,
          "Where there is damage, make the store anew of what can be read, with no scheduler "
          "using it; the damaged file is kept")
      ->excludes("--archive");
  check_app->add_flag("--json", checked->json, "Print one JSON document");
}

}  // namespace clusterd
