#include "core/field_error.h"

#include "absl/strings/cord.h"
#include "core/proto_time.h"
#include "google/rpc/error_details.pb.h"

namespace clusterd {
namespace {

constexpr absl::string_view kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";
constexpr absl::string_view kRetryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";

}  // namespace

absl::Status field_error(absl::StatusCode code, std::string_view field, std::string_view message) {
  const std::string text = std::string(field) + ": " + std::string(message);
  absl::Status status(code, text);
  google::rpc::BadRequest details;
  auto* violation = details.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(message));
  status.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  return status;
}

absl::Status invalid_field(std::string_view field, std::string_view message) {
  return field_error(absl::StatusCode::kInvalidArgument, field, message);
}

std::string field_of(const absl::Status& status) {
  const auto payload = status.GetPayload(kBadRequestUrl);
  google::rpc::BadRequest details;
  if (!payload || !details.ParseFromString(std::string(*payload))) return "";
  return details.field_violations_size() > 0 ? details.field_violations(0).field() : "";
}

absl::Status with_retry_delay(absl::Status status, std::chrono::nanoseconds delay) {
  google::rpc::RetryInfo info;
  *info.mutable_retry_delay() = to_proto(delay);
  status.SetPayload(kRetryInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

std::optional<std::chrono::nanoseconds> retry_delay_of(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryInfoUrl);
  google::rpc::RetryInfo info;
  if (!payload || !info.ParseFromString(std::string(*payload))) return std::nullopt;
  return from_proto(info.retry_delay());
}

google::rpc::Status to_proto(const absl::Status& status) {
  google::rpc::Status message;
  message.set_code(static_cast<int>(status.code()));
  message.set_message(std::string(status.message()));
  status.ForEachPayload([&message](absl::string_view url, const absl::Cord& value) {
    auto* detail = message.add_details();
    detail->set_type_url(std::string(url));
    detail->set_value(std::string(value));
  });
  return message;
}

absl::Status from_proto(const google::rpc::Status& message) {
  absl::Status status(static_cast<absl::StatusCode>(message.code()), message.message());
  for (const auto& detail : message.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

}  // namespace clusterd
