#include "cli/run_token.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/exit_codes.h"
#include "cli/job_spec_builder.h"
#include "cli/print.h"
#include "core/clock.h"
#include "core/json_quote.h"
#include "core/proto_time.h"
#include "rpc/token_file.h"

namespace clusterd {
namespace {

using google::protobuf::util::TimeUtil;

std::string time_text(WallTime time) { return TimeUtil::ToString(to_proto(time)); }

std::string expiry_text(const TokenRecord& record, WallTime now) {
  if (!record.expires) return "never";
  return time_text(*record.expires) + (*record.expires <= now ? " (expired)" : "");
}

auto find_by_name(std::vector<TokenRecord>& records, const std::string& name) {
  return std::find_if(records.begin(), records.end(),
                      [&name](const TokenRecord& record) { return record.name == name; });
}

// What the command asks for, but for the secret.
absl::StatusOr<TokenRecord> record_of(const TokenCreateCommand& command) {
  const auto role = parse_role(command.role);
  if (!role.ok() || *role == Role::kScheduler || *role == Role::kWorker) {
    return absl::InvalidArgumentError("--role: \"" + command.role +
                                      "\" is none of reader, operator and admin");
  }
  if (!parse_identity("client/reader/" + command.name).ok()) {
    return absl::InvalidArgumentError(
        "NAME: \"" + command.name +
        "\" has other characters than letters, digits, '.', '_' and '-', or more than 128");
  }
  TokenRecord record{.name = command.name, .role = *role, .created = SystemClock().now().wall};
  if (command.expires.empty()) return record;
  const auto span = parse_duration_option("--expires", command.expires);
  if (!span.ok()) return span.status();
  record.expires = record.created + *span;
  return record;
}

std::string json_of(const std::vector<TokenRecord>& records) {
  std::string text = "{\"tokens\":[";
  for (const TokenRecord& record : records) {
    if (text.back() != '[') text += ",";
    absl::StrAppend(&text, "{\"name\":", json_quote(record.name),
                    ",\"role\":", json_quote(role_word(record.role)),
                    ",\"created\":", json_quote(time_text(record.created)));
    if (record.expires) {
      absl::StrAppend(&text, ",\"expires\":", json_quote(time_text(*record.expires)));
    }
    text += "}";
  }
  return text + "]}\n";
}

}  // namespace

int run(const TokenCreateCommand& command) {
  auto record = record_of(command);
  if (!record.ok()) return report_error(record.status());
  auto edit = TokenFileEdit::begin(command.file);
  if (!edit.ok()) return report_error(edit.status());
  if (find_by_name(edit->records, command.name) != edit->records.end()) {
    return report_error(absl::AlreadyExistsError("\"" + command.file + "\" has a token \"" +
                                                 command.name + "\" already; revoke it first"));
  }
  const std::string secret = new_token_secret();
  record->sha256 = token_hash(secret);
  edit->records.push_back(*std::move(record));
  if (const absl::Status status = edit->commit(); !status.ok()) return report_error(status);
  return print_text(secret + "\n");
}

int run(const TokenListCommand& command) {
  const auto records = read_token_file(command.file);
  if (!records.ok()) return report_error(records.status());
  if (command.json) return print_text(json_of(*records));
  const WallTime now = SystemClock().now().wall;
  std::string text = absl::StrFormat("%-24s %-9s %-20s %s\n", "NAME", "ROLE", "CREATED", "EXPIRES");
  for (const TokenRecord& record : *records) {
    text +=
        absl::StrFormat("%-24s %-9s %-20s %s\n", record.name, std::string(role_word(record.role)),
                        time_text(record.created), expiry_text(record, now));
  }
  return print_text(text);
}

int run(const TokenRevokeCommand& command) {
  auto edit = TokenFileEdit::begin(command.file);
  if (!edit.ok()) return report_error(edit.status());
  for (const std::string& name : command.names) {
    const auto found = find_by_name(edit->records, name);
    if (found == edit->records.end()) {
      return report_error(
          absl::NotFoundError("\"" + command.file + "\" has no token \"" + name + "\""));
    }
    edit->records.erase(found);
  }
  const absl::Status status = edit->commit();
  return status.ok() ? kExitOk : report_error(status);
}

}  // namespace clusterd
