#include "core/label_expression.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace clusterd {
namespace {

constexpr size_t kMaxWordBytes = 256;

std::string stripped(std::string_view text) {
  return std::string(absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size())));
}

bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWordBytes &&
         std::none_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isspace(static_cast<unsigned char>(c)) ||
                  absl::ascii_iscntrl(static_cast<unsigned char>(c)) ||
                  std::string_view("=!,()\"'").find(c) != std::string_view::npos;
         });
}

absl::Status not_understood(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", absl::string_view(text.data(), text.size()),
                   "\" is none of name=value, name!=value, name in (a,b), name notin (a,b), name "
                   "and !name, with words of 1 to 256 bytes without spaces and =!,()\"'"));
}

// The words in "(a,b)".
absl::StatusOr<std::vector<std::string>> parse_set(std::string_view set, std::string_view text) {
  if (set.size() < 2 || set.front() != '(' || set.back() != ')') return not_understood(text);
  std::vector<std::string> values;
  const std::string inner(set.substr(1, set.size() - 2));
  for (const absl::string_view part : absl::StrSplit(inner, ',')) {
    values.push_back(stripped(std::string_view(part.data(), part.size())));
    if (!is_word(values.back())) return not_understood(text);
  }
  return values;
}

}  // namespace

absl::StatusOr<LabelExpression> LabelExpression::parse(std::string_view text) {
  LabelExpression parsed;
  parsed.text_ = stripped(text);
  const std::string_view trimmed = parsed.text_;
  const size_t equals = trimmed.find('=');
  const size_t space = trimmed.find(' ');
  if (trimmed.starts_with('!')) {
    parsed.kind_ = Kind::kMissing;
    parsed.name_ = stripped(trimmed.substr(1));
  } else if (equals != std::string_view::npos) {
    const bool negated = equals > 0 && trimmed[equals - 1] == '!';
    parsed.kind_ = negated ? Kind::kNotIn : Kind::kIn;
    parsed.name_ = stripped(trimmed.substr(0, negated ? equals - 1 : equals));
    parsed.values_ = {stripped(trimmed.substr(equals + 1))};
    if (!is_word(parsed.values_[0])) return not_understood(text);
  } else if (space != std::string_view::npos) {
    parsed.name_ = std::string(trimmed.substr(0, space));
    const std::string rest = stripped(trimmed.substr(space));
    const bool negated = rest.starts_with("notin");
    if (!negated && !rest.starts_with("in")) return not_understood(text);
    parsed.kind_ = negated ? Kind::kNotIn : Kind::kIn;
    auto values = parse_set(stripped(std::string_view(rest).substr(negated ? 5 : 2)), text);
    if (!values.ok()) return values.status();
    parsed.values_ = *std::move(values);
  } else {
    parsed.name_ = std::string(trimmed);
  }
  if (!is_word(parsed.name_)) return not_understood(text);
  return parsed;
}

bool LabelExpression::matches(const google::protobuf::Map<std::string, std::string>& labels) const {
  const auto label = labels.find(name_);
  const bool exists = label != labels.end();
  const bool listed =
      exists && std::find(values_.begin(), values_.end(), label->second) != values_.end();
  switch (kind_) {
    case Kind::kExists:
      return exists;
    case Kind::kMissing:
      return !exists;
    case Kind::kIn:
      return listed;
    case Kind::kNotIn:
      return !listed;
  }
  return false;
}

}  // namespace clusterd
