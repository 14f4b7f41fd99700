#include "support/config_manual.h"

#include <cstdint>
#include <type_traits>
#include <variant>

#include "core/units.h"

namespace clusterd {
namespace {

template <class... Ts>
struct Cases : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Cases(Ts...) -> Cases<Ts...>;

std::string number_text(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  return text.back() == '.' ? text + "0" : text;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string list_text(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : ", ") + quoted(value);
  return "[" + text + "]";
}

// As a file would have it.
std::string default_text(const ConfigKey& key) {
  const bool is_size = key.form == ConfigForm::kSize;
  const bool takes_text = key.form == ConfigForm::kCallAddress;
  return std::visit(
      Cases{[](const bool* value) { return std::string(*value ? "true" : "false"); },
            [](const std::string* value) { return quoted(*value); },
            [takes_text](const std::vector<std::string>* values) {
              return takes_text && values->size() == 1 ? quoted(values->front())
                                                       : list_text(*values);
            },
            [](const std::map<std::string, std::string>*) { return std::string("{}"); },
            [](const std::map<std::string, uint32_t>*) { return std::string("{}"); },
            [](const double* value) { return number_text(*value); },
            [](const std::chrono::nanoseconds* value) { return quoted(format_duration(*value)); },
            [is_size](const auto* value) {
              if (is_size) return quoted(format_size(static_cast<uint64_t>(*value)));
              return std::to_string(*value);
            }},
      key.target);
}

std::string words_text(const std::vector<std::string_view>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + ("`" + quoted(words[i]) + "`");
  }
  return text;
}

std::string text_form(const ConfigKey& key) {
  switch (key.form) {
    case ConfigForm::kNotEmpty:
      return "text, not empty";
    case ConfigForm::kName:
      return "name";
    case ConfigForm::kWord:
      return words_text(key.words);
    case ConfigForm::kListenAddress:
    case ConfigForm::kCallAddress:
      return "host:port";
    case ConfigForm::kMaybeAddress:
      return "host:port, or empty";
    case ConfigForm::kProgram:
      return "program";
    case ConfigForm::kNetwork:
      return "address or network";
    case ConfigForm::kVariable:
      return "variable";
    case ConfigForm::kTaint:
      return "key or key=value";
    case ConfigForm::kPlain:
    case ConfigForm::kSize:
      return "text";
  }
  return "";
}

std::string bounds_text(const ConfigKey& key) {
  if (key.form == ConfigForm::kSize) {
    return format_size(static_cast<uint64_t>(key.min)) + " to " +
           format_size(static_cast<uint64_t>(key.max));
  }
  if (std::holds_alternative<std::chrono::nanoseconds*>(key.target)) {
    return format_duration(std::chrono::nanoseconds(key.min)) + " to " +
           format_duration(std::chrono::nanoseconds(key.max));
  }
  return std::to_string(key.min) + " to " + std::to_string(key.max);
}

std::string allowed_text(const ConfigKey& key) {
  const std::string number = key.form == ConfigForm::kSize ? "size, " : "integer, ";
  return std::visit(
      Cases{[](const bool*) { return std::string("`true` or `false`"); },
            [&key](const std::string*) { return text_form(key); },
            [&key](const std::vector<std::string>*) {
              const bool takes_text = key.form == ConfigForm::kCallAddress;
              return (takes_text ? text_form(key) + ", or a list" : "list: " + text_form(key));
            },
            [&key](const std::map<std::string, std::string>*) {
              return "table: " + text_form(key) + " = text";
            },
            [&key](const std::map<std::string, uint32_t>*) {
              return "table: name = integer, " + bounds_text(key);
            },
            [&key](const double*) { return "number, " + bounds_text(key); },
            [&key](const std::chrono::nanoseconds*) { return "time, " + bounds_text(key); },
            [&key, &number](const auto*) { return number + bounds_text(key); }},
      key.target);
}

// A cell's text; what looks like a path or a pattern of Markdown stays as it is.
std::string cell(std::string_view text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|' || c == '*' || c == '<') cell += '\\';
    cell += c;
  }
  return cell;
}

}  // namespace

std::string config_table(const std::vector<ConfigKey>& keys) {
  std::string table = "| key | allowed | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const ConfigKey& key : keys) {
    table += "| `" + key.path() + "` | " + allowed_text(key) + " | `" + default_text(key) + "` | " +
             cell(key.comment) + " |\n";
  }
  return table;
}

std::string with_table(const std::string& manual, std::string_view name, const std::string& table) {
  const size_t mark = manual.find("<!-- keys of " + std::string(name) + " ");
  const size_t begin = manual.find('\n', mark);
  const size_t end = manual.find("<!-- end of keys -->", begin);
  if (mark == std::string::npos || end == std::string::npos) return manual;
  return manual.substr(0, begin + 1) + table + manual.substr(end);
}

}  // namespace clusterd
