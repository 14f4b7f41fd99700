#include "core/config_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <tuple>

#include "absl/status/statusor.h"
#include "core/config_value.h"
#include "core/resources_check.h"

namespace clusterd {
namespace {

ConfigPosition to_position(const toml::source_position& position) {
  return {position.line, position.column};
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

// Writes one node into the member that a key points to. Errors go to the report, each at the
// node, or the part of it, that is wrong.
class ValueReader {
 public:
  ValueReader(const ConfigKey& key, const toml::node& node, ConfigReport& report)
      : key_(key), node_(node), report_(report) {}

  void operator()(bool* target) {
    if (const auto value = node_.value_exact<bool>()) {
      *target = *value;
    } else {
      wrong_type(node_);
    }
  }

  void operator()(std::string* target) {
    if (const auto value = checked_text(node_)) *target = *value;
  }

  void operator()(std::vector<std::string>* target) {
    if (key_.form == ConfigForm::kCallAddress && node_.is_string()) {
      if (const auto value = checked_text(node_)) *target = {*value};
      return;
    }
    const toml::array* array = node_.as_array();
    if (array == nullptr) return wrong_type(node_);
    if (key_.form == ConfigForm::kCallAddress && array->empty()) {
      return add(node_, "is empty; allowed is " + allowed_type(key_));
    }
    std::vector<std::string> values;
    for (const toml::node& element : *array) {
      if (const auto value = checked_text(element)) values.push_back(*value);
    }
    *target = std::move(values);
  }

  void operator()(std::map<std::string, std::string>* target) {
    const toml::table* table = node_.as_table();
    if (table == nullptr) return wrong_type(node_);
    std::map<std::string, std::string> values;
    for (const auto& [name, element] : *table) {
      const absl::Status status = check_text(key_, name.str());
      if (name.str().empty() || !status.ok()) add(name.source().begin, status.message());
      const auto value =
          key_.form == ConfigForm::kVariable ? free_text(element) : checked_text(element);
      if (value) values.emplace(name.str(), *value);
    }
    *target = std::move(values);
  }

  void operator()(std::map<std::string, uint32_t>* target) {
    const toml::table* table = node_.as_table();
    if (table == nullptr) return wrong_type(node_);
    std::map<std::string, uint32_t> values;
    for (const auto& [name, element] : *table) {
      const absl::Status named = check_resource_name(name.str());
      if (!named.ok()) add(name.source().begin, named.message());
      const auto value = element.value_exact<int64_t>();
      if (!value) {
        wrong_type(element);
      } else if (const absl::Status status = check_range(key_, *value); !status.ok()) {
        add(element, status.message());
      } else {
        values.emplace(name.str(), static_cast<uint32_t>(*value));
      }
    }
    const absl::Status status = check_resource_names(values);
    if (!status.ok()) return add(node_, status.message());
    *target = std::move(values);
  }

  void operator()(int32_t* target) {
    if (const auto value = checked_integer()) *target = static_cast<int32_t>(*value);
  }

  void operator()(uint32_t* target) {
    if (const auto value = checked_integer()) *target = static_cast<uint32_t>(*value);
  }

  void operator()(uint64_t* target) {
    if (key_.form == ConfigForm::kSize && node_.is_string()) {
      store(size_value(key_, *node_.value_exact<std::string_view>()), target);
    } else if (const auto value = checked_integer()) {
      *target = static_cast<uint64_t>(*value);
    }
  }

  void operator()(double* target) {
    const auto value = node_.is_number() ? node_.value<double>() : std::nullopt;
    if (!value) return wrong_type(node_);
    const absl::Status status = check_number(key_, *value);
    if (!status.ok()) return add(node_, status.message());
    *target = *value;
  }

  void operator()(std::chrono::nanoseconds* target) {
    const auto value = node_.value_exact<std::string_view>();
    if (!value) return wrong_type(node_);
    store(duration_value(key_, *value), target);
  }

 private:
  template <typename T>
  void store(const absl::StatusOr<T>& value, T* target) {
    if (value.ok()) {
      *target = *value;
    } else {
      add(node_, value.status().message());
    }
  }

  std::optional<std::string> free_text(const toml::node& node) {
    auto value = node.value_exact<std::string>();
    if (!value) {
      wrong_type(node);
    } else if (value->find('\0') != std::string::npos) {
      add(node, "holds a NUL character");
      return std::nullopt;
    }
    return value;
  }

  std::optional<std::string> checked_text(const toml::node& node) {
    auto value = free_text(node);
    if (!value) return std::nullopt;
    const absl::Status status = check_text(key_, *value);
    if (status.ok()) return value;
    add(node, status.message());
    return std::nullopt;
  }

  std::optional<int64_t> checked_integer() {
    const auto value = node_.value_exact<int64_t>();
    if (!value) {
      wrong_type(node_);
      return std::nullopt;
    }
    const absl::Status status = check_range(key_, *value);
    if (status.ok()) return *value;
    add(node_, status.message());
    return std::nullopt;
  }

  void wrong_type(const toml::node& node) {
    add(node, "is " + std::string(type_name(node)) + "; allowed is " + allowed_type(key_));
  }

  void add(const toml::node& node, absl::string_view what) { add(node.source().begin, what); }
  void add(const toml::source_position& position, absl::string_view what) {
    report_.errors.push_back({to_position(position), key_.path(), std::string(what)});
  }

  const ConfigKey& key_;
  const toml::node& node_;
  ConfigReport& report_;
};

using Names = std::vector<std::string_view>;

Names tables_of(const std::vector<ConfigKey>& keys) {
  Names names;
  for (const ConfigKey& key : keys) {
    if (std::find(names.begin(), names.end(), key.table) == names.end()) names.push_back(key.table);
  }
  return names;
}

// The table in which such a key exists, or ", did you mean …?".
std::string hint(const std::vector<ConfigKey>& keys, std::string_view table,
                 std::string_view name) {
  Names siblings;
  std::string elsewhere;
  for (const ConfigKey& key : keys) {
    if (key.table == table) siblings.push_back(key.name);
    if (key.table != table && key.name == name) {
      elsewhere = ", it belongs into [" + std::string(key.table) + "]";
    }
  }
  return elsewhere.empty() ? did_you_mean(name, siblings) : elsewhere;
}

void read_key(std::string_view table, const toml::key& name, const toml::node& node,
              const std::vector<ConfigKey>& keys, ConfigReport& report) {
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& candidate) {
    return candidate.table == table && candidate.name == name.str();
  });
  if (key == keys.end()) {
    const std::string path = (table.empty() ? "" : std::string(table) + ".") + std::string(name);
    report.errors.push_back(
        {to_position(name.source().begin), path, "unknown key" + hint(keys, table, name.str())});
    return;
  }
  report.values[key->path()] = to_position(node.source().begin);
  std::visit(ValueReader(*key, node, report), key->target);
}

void read_root(const toml::table& root, const std::vector<ConfigKey>& keys, ConfigReport& report) {
  const Names tables = tables_of(keys);
  for (const auto& [name, node] : root) {
    const std::string word(name.str());
    const bool is_known = std::find(tables.begin(), tables.end(), word) != tables.end();
    if (!is_known && node.is_table() && tables != Names{""}) {
      report.errors.push_back(
          {to_position(node.source().begin), word, "unknown table" + did_you_mean(word, tables)});
    } else if (!is_known) {
      read_key("", name, node, keys, report);
    } else if (const toml::table* table = node.as_table()) {
      for (const auto& [key, value] : *table) read_key(word, key, value, keys, report);
    } else {
      report.errors.push_back(
          {to_position(node.source().begin), word,
           "is " + std::string(type_name(node)) + "; allowed is a table, [" + word + "]"});
    }
  }
}

}  // namespace

void ConfigReport::add_error(const std::string& key, std::string what) {
  const auto position = values.find(key);
  errors.push_back(
      {position == values.end() ? ConfigPosition{} : position->second, key, std::move(what)});
}

absl::Status ConfigReport::status(std::string_view file) const {
  if (errors.empty()) return absl::OkStatus();
  std::vector<ConfigError> sorted = errors;
  std::stable_sort(sorted.begin(), sorted.end(), [](const ConfigError& a, const ConfigError& b) {
    return std::tie(a.position.line, a.position.column) <
           std::tie(b.position.line, b.position.column);
  });
  std::string text;
  for (const ConfigError& error : sorted) {
    if (!text.empty()) text += "\n";
    text += file;
    if (error.position.line > 0) {
      text +=
          ":" + std::to_string(error.position.line) + ":" + std::to_string(error.position.column);
    }
    text += ": " + (error.key.empty() ? "" : error.key + ": ") + error.what;
  }
  return absl::InvalidArgumentError(text);
}

ConfigReport read_config(std::string_view text, const std::vector<ConfigKey>& keys) {
  ConfigReport report;
  try {
    read_root(toml::parse(text), keys, report);
  } catch (const toml::parse_error& error) {
    report.errors.push_back(
        {to_position(error.source().begin), "", std::string(error.description())});
  }
  return report;
}

}  // namespace clusterd
