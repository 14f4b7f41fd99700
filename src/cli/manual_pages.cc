#include "cli/manual_pages.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "cli/exit_codes.h"
#include "clusterd/version.h"

namespace clusterd {
namespace {

using Options = std::vector<const CLI::Option*>;
using Apps = std::vector<const CLI::App*>;

struct Variable {
  const char* name;
  const char* text;
};

constexpr Variable kVariables[] = {
    {"CLUSTERD_ADDR", "Address of the scheduler, or a list of them, where --addr is not given."},
    {"CLUSTERD_TOKEN", "Bearer token, where --token is not given."},
    {"CLUSTERD_CA", "Authority of the scheduler's certificate, where --ca is not given."},
    {"CLUSTERD_CERT", "The caller's certificate, where --cert is not given."},
    {"CLUSTERD_KEY", "Its private key, where --key is not given."},
    {"NO_COLOR", "Where it is set to anything, nothing is coloured."},
    {"COLUMNS", "Width of the terminal that tables must fit."},
};

// The command with its parents: {"clusterd", "job", "start"}.
using Path = std::vector<std::string>;

std::string bold(const std::string& text) { return "\\fB" + roff_escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + roff_escaped(text) + "\\fR"; }

Apps commands_below(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); });
}

Options options_of(const CLI::App& app, bool positional) {
  return app.get_options([positional](const CLI::Option* option) {
    return option->get_positional() == positional && !option->get_group().empty();
  });
}

// A description on a line of its own that ends in a full stop.
std::string sentence(const std::string& text) {
  return roff_escaped(text) + (text.empty() || text.ends_with('.') ? "\n" : ".\n");
}

// "TIME", with what a check allows: "{stdout,stderr,merged}".
std::string value_of(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return "";
  const std::string type = option.get_type_name();
  const size_t members = type.find(":{");
  if (members == std::string::npos) return italic(type.substr(0, type.find(":INT")));
  return italic(type.substr(members + 1));
}

std::string names_of(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back(bold("-" + name));
  for (const std::string& name : option.get_lnames()) names.push_back(bold("--" + name));
  const std::string value = value_of(option);
  return absl::StrJoin(names, ", ") + (value.empty() ? "" : " " + value);
}

std::string argument(const CLI::Option& option) {
  const std::string name =
      italic(option.get_name()) + (option.get_items_expected_max() > 1 ? "\\|.\\|.\\|." : "");
  return option.get_required() ? name : "[" + name + "]";
}

std::string synopsis(const CLI::App& app, const Path& path) {
  std::string text = ".SH SYNOPSIS\n" + bold(absl::StrJoin(path, " "));
  if (!commands_below(app).empty()) return text + " " + italic("COMMAND") + " .\\|.\\|.\n";
  bool has_more = false;
  for (const CLI::Option* option : options_of(app, /*positional=*/false)) {
    has_more = has_more || !option->get_required();
    if (option->get_required()) text += "\n" + names_of(*option);
  }
  if (has_more) text += "\n[" + italic("OPTION") + "]\\|.\\|.\\|.";
  for (const CLI::Option* option : options_of(app, /*positional=*/true)) {
    text += "\n" + argument(*option);
  }
  return text + "\n";
}

std::string tagged(const std::string& tag, const std::string& text) {
  return ".TP\n" + tag + "\n" + sentence(text);
}

std::string list_of_options(const CLI::App& app) {
  std::string text;
  for (const CLI::Option* option : options_of(app, /*positional=*/true)) {
    text += tagged(italic(option->get_name()), option->get_description());
  }
  for (const CLI::Option* option : options_of(app, /*positional=*/false)) {
    const std::string standard = option->get_default_str();
    const bool is_told = standard.empty() || option->get_items_expected_max() == 0;
    text += tagged(names_of(*option),
                   option->get_description() + (is_told ? "" : " [" + standard + "]"));
  }
  return ".SH OPTIONS\n" + text;
}

std::string page_name(const Path& path) { return absl::StrJoin(path, "-"); }

std::string list_of_commands(const CLI::App& app, const Path& path) {
  std::string text = ".SH COMMANDS\n";
  for (const CLI::App* sub : commands_below(app)) {
    Path below = path;
    below.push_back(sub->get_name());
    absl::StrAppend(&text, ".TP\n.BR ", roff_escaped(page_name(below)), " (1)\n",
                    sentence(sub->get_description()));
  }
  return text;
}

std::string exit_status(bool in_full) {
  if (!in_full) {
    return ".SH EXIT STATUS\n0 where it is done; the others are listed in\n.BR clusterd (1).\n";
  }
  std::string text = ".SH EXIT STATUS\n";
  for (const ExitCodeMeaning& meaning : exit_code_meanings()) {
    text += tagged(bold(meaning.code), meaning.text);
  }
  return text;
}

std::string environment() {
  std::string text = ".SH ENVIRONMENT\n";
  for (const Variable& variable : kVariables) text += tagged(bold(variable.name), variable.text);
  return text + ".SH FILES\n" +
         tagged(italic("~/.config/clusterd/client.toml"),
                "The same settings, where neither option nor variable is given: addr, token, "
                "ca_file, crt_file, key_file.");
}

std::string see_also(const Path& path) {
  Path above = path;
  above.pop_back();
  std::string text = ".SH SEE ALSO\n";
  if (above.size() > 1) text += ".BR " + roff_escaped(page_name(above)) + " (1),\n";
  return text + ".BR clusterd (1)\n";
}

std::string footer_of(const CLI::App& app) {
  std::string text;
  std::istringstream lines(app.get_footer());
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) text += ".PP\n" + sentence(line);
  }
  return text;
}

// "Start a script." without its full stop and with a small letter, as after a name.
std::string phrase(std::string text) {
  if (text.ends_with('.')) text.pop_back();
  const bool is_word = text.size() > 1 && absl::ascii_islower(static_cast<unsigned char>(text[1]));
  if (is_word) text[0] = absl::ascii_tolower(static_cast<unsigned char>(text[0]));
  return text;
}

void add_pages(const CLI::App& app, const Path& path, const std::string& date,
               std::vector<ManualPage>& pages) {
  const bool is_program = path.size() == 1;
  const bool is_family = !commands_below(app).empty();
  const std::string name = page_name(path);
  std::string text = absl::StrCat(
      ".\\\" Made by `clusterd manual`.\n.TH ", roff_escaped(absl::AsciiStrToUpper(name)), " 1 ",
      date, " \"clusterd ", version(), "\" \"clusterd\"\n.SH NAME\n", roff_escaped(name), " \\- ",
      roff_escaped(phrase(app.get_description())), "\n", synopsis(app, path), ".SH DESCRIPTION\n",
      sentence(app.get_description()), footer_of(app));
  if (is_family) text += list_of_commands(app, path);
  if (is_program || !is_family) text += list_of_options(app);
  text += exit_status(is_program);
  if (is_program) text += environment();
  if (!is_program) text += see_also(path);
  pages.push_back({name + ".1", std::move(text)});
  for (const CLI::App* sub : commands_below(app)) {
    Path below = path;
    below.push_back(sub->get_name());
    add_pages(*sub, below, date, pages);
  }
}

// The code point that UTF-8 text begins with, and how many bytes it takes; malformed ones count
// as themselves.
std::pair<uint32_t, size_t> first_code_point(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
  if (length == 1 || length > text.size()) return {lead, 1};
  uint32_t code = lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    code = (code << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  }
  return {code, length};
}

}  // namespace

std::string roff_escaped(const std::string& text) {
  std::string escaped;
  const bool is_request = text.starts_with('.') || text.starts_with('\'');
  if (is_request) escaped = "\\&";
  for (size_t at = 0; at < text.size();) {
    const auto [code, length] = first_code_point(std::string_view(text).substr(at));
    at += length;
    if (code == '\\') {
      escaped += "\\e";
    } else if (code == '-') {
      escaped += "\\-";
    } else if (code == '`') {
      escaped += "\\(ga";
    } else if (code == '\'') {
      escaped += "\\(aq";
    } else if (code == '^') {
      escaped += "\\(ha";
    } else if (code == '~') {
      escaped += "\\(ti";
    } else if (code < 0x80) {
      escaped += static_cast<char>(code);
    } else {
      escaped += absl::StrFormat("\\[u%04X]", code);
    }
  }
  return escaped;
}

std::vector<ManualPage> manual_pages(const CLI::App& app, const std::string& date) {
  std::vector<ManualPage> pages;
  add_pages(app, {app.get_name()}, date, pages);
  return pages;
}

}  // namespace clusterd
