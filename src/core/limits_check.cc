#include "core/limits_check.h"

#include "absl/strings/str_cat.h"
#include "core/field_error.h"

namespace clusterd {
namespace {

template <typename Number>
absl::Status check_range(std::string_view field, bool is_set, Number value, Number least,
                         Number most) {
  if (!is_set || (value >= least && value <= most)) return absl::OkStatus();  // NaN does not fit
  return invalid_field(absl::StrCat("limits.", std::string(field)),
                       absl::StrCat(value, " is not within ", least, " to ", most));
}

}  // namespace

absl::Status check_limits(const v1::Limits& limits) {
  absl::Status status = check_range("memory_bytes", limits.has_memory_bytes(),
                                    limits.memory_bytes(), kLeastMemoryBytes, kMostBytes);
  status.Update(check_range("cpus", limits.has_cpus(), limits.cpus(), kLeastCpus, kMostCpus));
  status.Update(check_range("pids", limits.has_pids(), limits.pids(), 1U, kMostPids));
  status.Update(check_range("open_files", limits.has_open_files(), limits.open_files(),
                            kLeastOpenFiles, kMostOpenFiles));
  status.Update(check_range("core_bytes", limits.has_core_bytes(), limits.core_bytes(), uint64_t{0},
                            kMostBytes));
  status.Update(check_range("nice", limits.has_nice(), limits.nice(), kLeastNice, kMostNice));
  return status;
}

std::vector<std::string> names_of(const v1::Limits& limits) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  v1::Limits::GetReflection()->ListFields(limits, &fields);
  std::vector<std::string> names;
  for (const auto* field : fields) names.push_back(field->name());
  return names;
}

std::vector<std::string> all_limits() {
  std::vector<std::string> names;
  const google::protobuf::Descriptor& type = *v1::Limits::descriptor();
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

}  // namespace clusterd
