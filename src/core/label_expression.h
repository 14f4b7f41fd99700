#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/map.h"

namespace clusterd {

// One condition on labels: `name=value`, `name!=value`, `name in (a,b)`, `name notin (a,b)`,
// `name` (there is such a label) or `!name` (there is none). As with kubectl, `!=` and `notin` are
// met by what has no such label.
//
// A value; any thread.
class LabelExpression {
 public:
  // INVALID_ARGUMENT: not one of the forms above, or a name or value that is empty, has spaces or
  // one of `=!,()"'`, or more than 256 bytes.
  [[nodiscard]] static absl::StatusOr<LabelExpression> parse(std::string_view text);

  [[nodiscard]] bool matches(const google::protobuf::Map<std::string, std::string>& labels) const;
  // As it was parsed.
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class Kind { kExists, kMissing, kIn, kNotIn };

  std::string text_;
  std::string name_;
  Kind kind_ = Kind::kExists;
  std::vector<std::string> values_;  // of kIn and kNotIn
};

}  // namespace clusterd
