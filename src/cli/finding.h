#pragma once

#include <string>
#include <vector>

namespace clusterd {

enum class Severity { kGood, kWarning, kError };

// One thing that `clusterd doctor` has looked at.
struct Finding {
  std::string check;  // one word: "certificates"
  Severity severity = Severity::kGood;
  std::string message;
  std::string mend;  // what to do about it; empty where it is good
};

using Findings = std::vector<Finding>;

inline void add_good(Findings& findings, std::string check, std::string message) {
  findings.push_back({std::move(check), Severity::kGood, std::move(message), ""});
}
inline void add_warning(Findings& findings, std::string check, std::string message,
                        std::string mend) {
  findings.push_back({std::move(check), Severity::kWarning, std::move(message), std::move(mend)});
}
inline void add_error(Findings& findings, std::string check, std::string message,
                      std::string mend) {
  findings.push_back({std::move(check), Severity::kError, std::move(message), std::move(mend)});
}

}  // namespace clusterd
