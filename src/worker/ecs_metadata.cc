#include "worker/ecs_metadata.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "rpc/http_get.h"

namespace clusterd {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;

constexpr std::chrono::seconds kAnswersWithin(3);

// Null where there is no such field.
const Value* find(const Struct& object, const std::string& name) {
  const auto found = object.fields().find(name);
  return found == object.fields().end() ? nullptr : &found->second;
}

std::string text_in(const Struct& object, const std::string& name) {
  const Value* value = find(object, name);
  return value == nullptr ? "" : value->string_value();
}

// The first text in a list; empty: there is none.
std::string first_in(const Struct& object, const std::string& name) {
  const Value* value = find(object, name);
  const bool has_one = value != nullptr && value->list_value().values_size() > 0;
  return has_one ? value->list_value().values(0).string_value() : "";
}

}  // namespace

absl::StatusOr<std::string> address_in_ecs_metadata(std::string_view json) {
  Struct container;
  const auto parsed =
      google::protobuf::util::JsonStringToMessage({json.data(), json.size()}, &container);
  if (!parsed.ok()) return absl::DataLossError("the ECS task metadata are no JSON document");
  const Value* networks = find(container, "Networks");
  if (networks == nullptr) return absl::NotFoundError("the ECS task metadata name no network");
  std::string mode;
  for (const Value& network : networks->list_value().values()) {
    mode = text_in(network.struct_value(), "NetworkMode");
    if (mode != "awsvpc") continue;
    for (const char* list : {"IPv4Addresses", "IPv6Addresses"}) {
      std::string address = first_in(network.struct_value(), list);
      if (!address.empty()) return address;
    }
  }
  if (mode == "bridge" || mode == "default") {
    return absl::FailedPreconditionError(
        absl::StrCat("the ECS task has the network mode ", mode,
                     ", whose addresses other machines cannot reach"));
  }
  return absl::NotFoundError(absl::StrCat("no address for the ECS network mode \"", mode, "\""));
}

absl::StatusOr<std::string> ecs_task_address() {
  const char* url = std::getenv("ECS_CONTAINER_METADATA_URI_V4");
  if (url == nullptr || *url == '\0') return absl::NotFoundError("this is no ECS task");
  const auto answer = http_get(url, kAnswersWithin);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) {
    return absl::UnavailableError(absl::StrCat(url, " answers ", answer->status));
  }
  return address_in_ecs_metadata(answer->body);
}

}  // namespace clusterd
