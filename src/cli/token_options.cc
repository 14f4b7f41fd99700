#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"

namespace clusterd {
namespace {

template <typename T>
std::shared_ptr<T> add(CLI::App& tokens, Chosen& chosen, const std::string& name,
                       const std::string& text) {
  CLI::App& app = *tokens.add_subcommand(name, text);
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  app.callback([command, &chosen] { chosen = *command; });
  app.add_option("--file", command->file, "The scheduler's http_server.tokens_file")
      ->type_name("FILE")
      ->required();
  return command;
}

}  // namespace

void add_token_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& tokens = *app.add_subcommand("token", "Make, list and revoke bearer tokens.");
  tokens.require_subcommand(1);

  const auto create = add<TokenCreateCommand>(
      tokens, chosen, "create", "Make a token and print its secret, which is kept nowhere.");
  CLI::App& create_app = *tokens.get_subcommand("create");
  create_app.add_option("NAME", create->name, "Who uses it; unique in the file")->required();
  create_app.add_option("--role", create->role, "What its holder may do")
      ->type_name("ROLE")
      ->check(CLI::IsMember({"reader", "operator", "admin"}))
      ->required();
  create_app.add_option("--expires", create->expires, "How long it is good [for ever]")
      ->type_name("TIME");

  const auto list = add<TokenListCommand>(tokens, chosen, "list", "All tokens of the file.");
  tokens.get_subcommand("list")->add_flag("--json", list->json, "Print one JSON document");

  const auto revoke =
      add<TokenRevokeCommand>(tokens, chosen, "revoke", "Take tokens away, by their names.");
  tokens.get_subcommand("revoke")->add_option("NAME", revoke->names, "By name")->required();
}

}  // namespace clusterd
