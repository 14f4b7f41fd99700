#include "rpc/certificate_metrics.h"

namespace clusterd {

void add_certificate_expiry(MetricsPage& page, std::initializer_list<CertificateEnd> listeners) {
  page.gauge("clusterd_certificate_expiry_timestamp_seconds",
             "When the certificate of a listener ends, in seconds since 1970.");
  for (const auto& [listener, end] : listeners) {
    if (!end) continue;
    const std::chrono::duration<double> since_1970 = end->time_since_epoch();
    page.sample(since_1970.count(), {{"listener", listener}});
  }
}

}  // namespace clusterd
