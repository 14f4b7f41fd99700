#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace clusterd {

// What the command lines about certificates and tokens ask for; see commands.h.

struct TokenCreateCommand {
  std::string file;
  std::string name;
  std::string role;
  std::string expires;  // empty: never
};

struct TokenListCommand {
  std::string file;
  bool json = false;
};

struct TokenRevokeCommand {
  std::string file;
  std::vector<std::string> names;
};

struct TlsInitCommand {
  std::string dir;
  std::string cluster;
  std::vector<std::string> hosts;
  std::string scheduler;  // names; empty: the host's
  std::string worker;
  std::string client;  // empty: the user's
  std::string role = "admin";
  uint32_t days = 365;
  uint32_t authority_days = 3650;
};

struct TlsIssueCommand {
  std::string kind;  // scheduler, worker, client
  std::string dir;
  std::string name;
  std::vector<std::string> hosts;
  std::string role = "operator";
  uint32_t days = 365;
  std::string out;  // without .pem; empty: "<kind>-<name>" in dir
};

struct TlsRevokeCommand {
  std::string dir;
  std::string certificate;
};

struct TlsShowCommand {
  std::vector<std::string> files;
};

struct TlsVerifyCommand {
  std::string certificate;
  std::string ca_file;
  std::string crl_file;
  std::string key_file;
  std::string cluster;
};

}  // namespace clusterd
