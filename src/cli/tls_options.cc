#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command_families.h"

namespace clusterd {
namespace {

constexpr int kMostDays = 36'500;

template <typename T>
std::shared_ptr<T> add(CLI::App& tls, Chosen& chosen, const std::string& name,
                       const std::string& text) {
  auto command = std::make_shared<T>();  // shared by the options that fill it and the callback
  tls.add_subcommand(name, text)->callback([command, &chosen] { chosen = *command; });
  return command;
}

CLI::Option* add_hosts(CLI::App& app, std::vector<std::string>& hosts) {
  return app.add_option("--host", hosts, "DNS name or IP address where it is called (repeatable)")
      ->type_name("HOST")
      ->allow_extra_args(false);
}

void add_days(CLI::App& app, uint32_t& days) {
  app.add_option("--days", days, "How long certificates are valid")
      ->check(CLI::Range(1, kMostDays))
      ->capture_default_str();
}

void add_dir(CLI::App& app, std::string& dir) {
  app.add_option("--dir", dir, "Folder of ca.pem and ca.key")->type_name("DIR")->required();
}

void add_init(CLI::App& tls, Chosen& chosen) {
  const auto init = add<TlsInitCommand>(tls, chosen, "init",
                                        "Make an authority, and certificates for a first cluster.");
  CLI::App& app = *tls.get_subcommand("init");
  app.add_option("--dir", init->dir, "Folder to write to; nothing in it is overwritten")
      ->type_name("DIR")
      ->required();
  app.add_option("--cluster", init->cluster, "Name of the cluster")->type_name("NAME")->required();
  add_hosts(app, init->hosts)->allow_extra_args();  // "--host a b" too: no word of its own follows
  app.add_option("--scheduler", init->scheduler, "Name of the scheduler [this host's]")
      ->type_name("NAME");
  app.add_option("--worker", init->worker, "Name of the worker [this host's]")->type_name("NAME");
  app.add_option("--client", init->client, "Name of the client [this user's]")->type_name("NAME");
  app.add_option("--role", init->role, "Of the client")
      ->type_name("ROLE")
      ->check(CLI::IsMember({"reader", "operator", "admin"}))
      ->capture_default_str();
  add_days(app, init->days);
  app.add_option("--authority-days", init->authority_days, "How long the authority is valid")
      ->check(CLI::Range(1, kMostDays))
      ->capture_default_str();
}

void add_issue(CLI::App& tls, Chosen& chosen) {
  const auto issue =
      add<TlsIssueCommand>(tls, chosen, "issue", "Issue one more certificate and its key.");
  CLI::App& app = *tls.get_subcommand("issue");
  app.add_option("KIND", issue->kind, "Whom it is for")
      ->check(CLI::IsMember({"scheduler", "worker", "client"}))
      ->required();
  add_dir(app, issue->dir);
  app.add_option("--name", issue->name, "Whose it is")->type_name("NAME")->required();
  add_hosts(app, issue->hosts);
  app.add_option("--role", issue->role, "Of a client")
      ->type_name("ROLE")
      ->check(CLI::IsMember({"reader", "operator", "admin"}))
      ->capture_default_str();
  add_days(app, issue->days);
  app.add_option("--out", issue->out, "File to write, without .pem [DIR/KIND-NAME]")
      ->type_name("FILE");
}

}  // namespace

void add_tls_commands(CLI::App& app, Chosen& chosen) {
  CLI::App& tls = *app.add_subcommand("tls", "Make, show and check certificates.");
  tls.require_subcommand(1);
  add_init(tls, chosen);
  add_issue(tls, chosen);

  const auto revoke =
      add<TlsRevokeCommand>(tls, chosen, "revoke", "Add a certificate to DIR/crl.pem.");
  CLI::App& revoke_app = *tls.get_subcommand("revoke");
  add_dir(revoke_app, revoke->dir);
  revoke_app.add_option("CERTIFICATE", revoke->certificate, "PEM file")->required();

  const auto show =
      add<TlsShowCommand>(tls, chosen, "show", "Print what certificates and lists say.");
  tls.get_subcommand("show")->add_option("FILE", show->files, "PEM files")->required();

  const auto verify = add<TlsVerifyCommand>(tls, chosen, "verify",
                                            "Check a certificate as scheduler and worker do.");
  CLI::App& verify_app = *tls.get_subcommand("verify");
  verify_app.add_option("CERTIFICATE", verify->certificate, "PEM file")->required();
  verify_app.add_option("--ca", verify->ca_file, "Authorities to trust (PEM)")
      ->type_name("FILE")
      ->required();
  verify_app.add_option("--crl", verify->crl_file, "What they have revoked (PEM)")
      ->type_name("FILE");
  verify_app.add_option("--key", verify->key_file, "Its key, to be checked too (PEM)")
      ->type_name("FILE");
  verify_app.add_option("--cluster", verify->cluster, "The cluster that it must be of")
      ->type_name("NAME");
}

}  // namespace clusterd
