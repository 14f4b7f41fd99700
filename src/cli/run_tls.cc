#include "cli/run_tls.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_join.h"
#include "cli/exit_codes.h"
#include "cli/print.h"
#include "rpc/certificate.h"
#include "rpc/certificate_authority.h"
#include "rpc/identity.h"
#include "rpc/tls_material.h"

namespace clusterd {
namespace {

using std::chrono::system_clock;

constexpr mode_t kKeyMode = 0600;
constexpr mode_t kCertificateMode = 0644;

struct OutputFile {
  std::string path;
  std::string text;
  mode_t mode;
};

absl::StatusOr<std::string> read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (file) content << file.rdbuf();
  if (!file.is_open() || file.bad() || errno == EISDIR) {
    return absl::ErrnoToStatus(errno == 0 ? EIO : errno, path);
  }
  return content.str();
}

absl::Status write_new(const OutputFile& file) {
  const int descriptor =
      open(file.path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file.mode);
  if (descriptor < 0) {
    if (errno == EEXIST) {
      return absl::AlreadyExistsError(file.path + " is there already; it is not overwritten");
    }
    return absl::ErrnoToStatus(errno, file.path);
  }
  const ssize_t written = write(descriptor, file.text.data(), file.text.size());
  const int error = errno;
  const bool whole = written == static_cast<ssize_t>(file.text.size()) && fsync(descriptor) == 0;
  close(descriptor);
  if (whole) return absl::OkStatus();
  (void)unlink(file.path.c_str());
  return absl::ErrnoToStatus(written < 0 ? error : ENOSPC, file.path);
}

// All of them or none.
absl::Status write_all_new(const std::vector<OutputFile>& files) {
  for (size_t i = 0; i < files.size(); ++i) {
    const absl::Status status = write_new(files[i]);
    if (status.ok()) continue;
    for (size_t made = 0; made < i; ++made) (void)unlink(files[made].path.c_str());
    return status;
  }
  return absl::OkStatus();
}

// What an identity may be called; other characters become '-'.
std::string plain_name(std::string name) {
  for (char& c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_';
    if (!plain) c = '-';
  }
  return name;
}

std::string this_host() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return plain_name(name.data());
}

std::string this_user() {
  const passwd* const user = getpwuid(geteuid());
  return user == nullptr ? "user-" + std::to_string(geteuid()) : plain_name(user->pw_name);
}

void add_files(std::vector<OutputFile>& files, const std::string& stem,
               const IssuedCertificate& issued) {
  files.push_back({stem + ".pem", issued.certificate, kCertificateMode});
  files.push_back({stem + ".key", issued.key, kKeyMode});
}

absl::StatusOr<IssuedCertificate> issue(const CertificateAuthority& authority,
                                        const std::string& who,
                                        const std::vector<std::string>& hosts, uint32_t days) {
  const auto identity = parse_identity(who);
  if (!identity.ok()) return identity.status();
  return authority.issue(*identity, hosts, std::chrono::hours(24 * days));
}

absl::StatusOr<std::vector<OutputFile>> make_cluster(const TlsInitCommand& command) {
  const auto authority = CertificateAuthority::create(
      command.cluster, std::chrono::hours(24 * command.authority_days));
  if (!authority.ok()) return authority.status();
  const auto or_else = [](const std::string& given, const std::string& usual) {
    return given.empty() ? usual : given;
  };
  const std::array<std::pair<const char*, std::string>, 3> wanted = {
      {{"scheduler", "scheduler/" + or_else(command.scheduler, this_host())},
       {"worker", "worker/" + or_else(command.worker, this_host())},
       {"client", "client/" + command.role + "/" + or_else(command.client, this_user())}}};
  std::vector<OutputFile> files;
  add_files(files, command.dir + "/ca", authority->own());
  for (const auto& [file, who] : wanted) {
    const bool listens = std::string_view(file) != "client";
    const auto issued =
        issue(*authority, who, listens ? command.hosts : std::vector<std::string>(), command.days);
    if (!issued.ok()) return issued.status();
    add_files(files, command.dir + "/" + file, *issued);
  }
  return files;
}

absl::StatusOr<CertificateAuthority> load_authority(const std::string& dir) {
  const auto certificate = read_file(dir + "/ca.pem");
  if (!certificate.ok()) return certificate.status();
  const auto key = read_file(dir + "/ca.key");
  if (!key.ok()) return key.status();
  auto authority = CertificateAuthority::load(*certificate, *key);
  if (authority.ok()) return authority;
  return absl::Status(authority.status().code(),
                      dir + "/ca.pem: " + std::string(authority.status().message()));
}

std::string paths_of(const std::vector<OutputFile>& files) {
  std::string text;
  for (const OutputFile& file : files) text += file.path + "\n";
  return text;
}

std::string shown(const CertificateFacts& facts) {
  std::string text = "certificate\n  subject     " + facts.subject + "\n  issuer      " +
                     facts.issuer + "\n  serial      " + facts.serial + "\n  valid       " +
                     format_time(facts.not_before) + " to " + format_time(facts.not_after);
  const auto left =
      std::chrono::duration_cast<std::chrono::hours>(facts.not_after - system_clock::now());
  text += left.count() < 0 ? " (expired)\n"
                           : " (" + std::to_string(left.count() / 24) + " days left)\n";
  if (facts.is_authority) text += "  authority   yes\n";
  for (const std::string& uri : facts.uris) {
    const auto identity = parse_spiffe_id(uri);
    text += "  uri         " + uri + "\n";
    if (!identity.ok()) continue;
    text += "  identity    " + identity->text() + "\n  cluster     " + identity->cluster + "\n";
  }
  if (!facts.dns_names.empty()) {
    text += "  dns         " + absl::StrJoin(facts.dns_names, ", ") + "\n";
  }
  if (!facts.ip_addresses.empty()) {
    text += "  ip          " + absl::StrJoin(facts.ip_addresses, ", ") + "\n";
  }
  return text + "  sha256      " + facts.sha256 + "\n";
}

// INVALID_ARGUMENT: neither certificates nor revocation lists are in it.
absl::StatusOr<std::string> shown(const std::string& file) {
  const auto text = read_file(file);
  if (!text.ok()) return text.status();
  const auto certificates = parse_certificates(*text);
  std::string out = file + ":\n";
  if (certificates.ok()) {
    for (const CertificatePtr& one : *certificates) out += shown(facts_of(*one));
    return out;
  }
  const auto lists = parse_crls(*text);
  if (!lists.ok()) {
    return absl::InvalidArgumentError(file +
                                      " holds neither certificates nor revocation lists (PEM)");
  }
  for (const CrlPtr& list : *lists) out += describe(*list);
  return out;
}

}  // namespace

int run(const TlsInitCommand& command) {
  const auto files = make_cluster(command);
  if (!files.ok()) return report_error(files.status());
  if (mkdir(command.dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return report_error(absl::ErrnoToStatus(errno, command.dir));
  }
  if (const auto status = write_all_new(*files); !status.ok()) return report_error(status);
  return print_text(paths_of(*files));
}

int run(const TlsIssueCommand& command) {
  const bool client = command.kind == "client";
  const auto authority = load_authority(command.dir);
  if (!authority.ok()) return report_error(authority.status());
  const std::string who =
      client ? "client/" + command.role + "/" + command.name : command.kind + "/" + command.name;
  const auto issued = issue(*authority, who, command.hosts, command.days);
  if (!issued.ok()) return report_error(issued.status());
  std::vector<OutputFile> files;
  add_files(
      files,
      command.out.empty() ? command.dir + "/" + command.kind + "-" + command.name : command.out,
      *issued);
  if (const auto status = write_all_new(files); !status.ok()) return report_error(status);
  return print_text(paths_of(files));
}

int run(const TlsRevokeCommand& command) {
  const auto authority = load_authority(command.dir);
  if (!authority.ok()) return report_error(authority.status());
  const auto certificate = read_file(command.certificate);
  if (!certificate.ok()) return report_error(certificate.status());
  const std::string path = command.dir + "/crl.pem";
  auto earlier = read_file(path);
  if (absl::IsNotFound(earlier.status())) earlier = std::string();
  if (!earlier.ok()) return report_error(earlier.status());
  const auto list = authority->revoke(*certificate, *earlier);
  if (!list.ok()) return report_error(list.status());
  const std::string fresh = path + ".new";
  (void)unlink(fresh.c_str());  // of a run that was interrupted
  absl::Status status = write_new({fresh, *list, kCertificateMode});
  if (status.ok() && rename(fresh.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, path);
  }
  if (!status.ok()) return report_error(status);
  return print_text(path + "\n");
}

int run(const TlsShowCommand& command) {
  std::string out;
  for (const std::string& file : command.files) {
    const auto text = shown(file);
    if (!text.ok()) return report_error(text.status());
    out += *text;
  }
  return print_text(out);
}

int run(const TlsVerifyCommand& command) {
  TlsSettings settings{.ca_file = command.ca_file, .crl_file = command.crl_file};
  settings.cluster = command.cluster;
  if (!command.key_file.empty()) {
    settings.crt_file = command.certificate;
    settings.key_file = command.key_file;
  }
  const auto material = TlsMaterial::load(settings, system_clock::now());
  if (!material.ok()) return report_error(material.status());
  const auto text = read_file(command.certificate);
  if (!text.ok()) return report_error(text.status());
  const auto peer = PeerCertificates::parse(*text, *text);
  if (!peer.ok()) return report_error(peer.status());
  const auto identity = (*material)->verify(*peer, {});
  if (!identity.ok()) return report_error(identity.status());
  return print_text("OK: " + identity->text() + " of cluster " + identity->cluster + ", until " +
                    format_time(facts_of(*peer->leaf).not_after) + "\n");
}

}  // namespace clusterd
