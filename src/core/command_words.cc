#include "core/command_words.h"

#include "absl/strings/str_replace.h"

namespace clusterd {
namespace {

constexpr std::string_view kSpaces = " \t\r\n\v\f";
constexpr std::string_view kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+^~";

// Reads one line, character by character.
class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  absl::StatusOr<std::vector<std::string>> run() {
    while (next_ < line_.size()) {
      const char c = line_[next_++];
      if (kSpaces.find(c) != std::string_view::npos) {
        finish_word();
        continue;
      }
      in_word_ = true;
      const absl::Status read = c == '\'' || c == '"' ? quoted(c) : unquoted(c);
      if (!read.ok()) return read;
    }
    finish_word();
    return std::move(words_);
  }

 private:
  absl::Status unquoted(char c) {
    if (c == '\\') {
      if (next_ == line_.size()) return absl::InvalidArgumentError("ends with a backslash");
      c = line_[next_++];
    }
    word_ += c;
    return absl::OkStatus();
  }

  absl::Status quoted(char quote) {
    while (next_ < line_.size()) {
      char c = line_[next_++];
      if (c == quote) return absl::OkStatus();
      const bool escapes = quote == '"' && c == '\\' && next_ < line_.size() &&
                           (line_[next_] == '"' || line_[next_] == '\\');
      if (escapes) c = line_[next_++];
      word_ += c;
    }
    return absl::InvalidArgumentError(std::string("has a ") + quote + " that is not closed");
  }

  void finish_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  std::string_view line_;
  size_t next_ = 0;
  bool in_word_ = false;  // "" is a word too
  std::string word_;
  std::vector<std::string> words_;
};

std::string quote_word(const std::string& word) {
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  return "'" + absl::StrReplaceAll(word, {{"'", "'\\''"}}) + "'";
}

}  // namespace

absl::StatusOr<std::vector<std::string>> split_words(std::string_view line) {
  return Splitter(line).run();
}

std::string join_words(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + quote_word(word);
  return line;
}

}  // namespace clusterd
