#pragma once

#include <chrono>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

#include "core/metrics.h"

namespace clusterd {

// The end of a listener's certificate; none in plaintext.
using CertificateEnd =
    std::pair<std::string_view, std::optional<std::chrono::system_clock::time_point>>;

// One sample a listener that has a certificate, by its section of the configuration.
void add_certificate_expiry(MetricsPage& page, std::initializer_list<CertificateEnd> listeners);

}  // namespace clusterd
