#pragma once

#include <boost/json/error.hpp>
#include <boost/json/string_view.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"

namespace clusterd::gateway {

// Walks a message's descriptor along the events of boost::json::basic_parser and stops at the
// first thing that does not fit. Owned by parse_strict_json for the time of one parse.
class JsonChecker {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = boost::json::error_code;
  using Text = boost::json::string_view;

  explicit JsonChecker(const google::protobuf::Descriptor& type) : root_(type) {}

  // What stopped the parse; OK where the text itself did.
  [[nodiscard]] const absl::Status& status() const { return status_; }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error& error) { return settle(begin_object(), error); }
  bool on_object_end(std::size_t, Error&) { return end_frame(); }
  bool on_array_begin(Error& error) { return settle(begin_array(), error); }
  bool on_array_end(std::size_t, Error&) { return end_frame(); }
  bool on_key_part(Text part, std::size_t, Error&) { return collect(part); }
  bool on_key(Text part, std::size_t, Error& error) {
    collect(part);
    return settle(take_key(), error);
  }
  bool on_string_part(Text part, std::size_t, Error&) { return collect(part); }
  bool on_string(Text part, std::size_t, Error& error) {
    collect(part);
    return settle(take_string(), error);
  }
  bool on_number_part(Text, Error&) { return true; }
  bool on_int64(int64_t value, Text, Error& error) { return settle(take_integer(value), error); }
  bool on_uint64(uint64_t value, Text, Error& error) { return settle(take_unsigned(value), error); }
  bool on_double(double value, Text, Error& error) { return settle(take_double(value), error); }
  bool on_bool(bool, Error& error) { return settle(take_bool(), error); }
  bool on_null(Error& error) { return settle(take_null(), error); }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

 private:
  using Field = google::protobuf::FieldDescriptor;

  // An object or array that is open.
  struct Frame {
    const google::protobuf::Descriptor* type = nullptr;  // of a message
    const Field* map = nullptr;                          // of a map
    const Field* array = nullptr;                        // of an array
    std::string path;
    const Field* field = nullptr;  // message: the key that was read
    std::string key;               // as the caller wrote it
    std::size_t index = 0;         // array: of the next element
    std::set<std::string> seen;    // keys, by proto name in a message
  };

  bool collect(Text part);
  bool settle(absl::Status status, Error& error);
  bool end_frame();
  void value_done();

  absl::Status begin_object();
  absl::Status begin_array();
  absl::Status take_key();
  absl::Status take_string();
  absl::Status take_integer(int64_t value);
  absl::Status take_unsigned(uint64_t value);
  absl::Status take_double(double value);
  absl::Status take_bool();
  absl::Status take_null();

  // The field that the next value is for, null at the top; its path; INVALID_ARGUMENT about it.
  [[nodiscard]] const Field* target() const;
  [[nodiscard]] std::string path() const;
  [[nodiscard]] absl::Status wrong(std::string_view what) const;
  // OK where a single value may stand here; else says what must.
  [[nodiscard]] absl::Status expect_scalar() const;

  const google::protobuf::Descriptor& root_;
  std::vector<Frame> frames_;
  std::string text_;  // of the key or string that is being read
  absl::Status status_;
};

}  // namespace clusterd::gateway
