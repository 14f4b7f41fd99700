#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "absl/status/status.h"
#include "gateway/cancellation.h"
#include "gateway/client_ledger.h"
#include "gateway/http_message.h"
#include "gateway/http_peer.h"
#include "gateway/request_reader.h"
#include "gateway/responder.h"
#include "rpc/stated_caller.h"

namespace clusterd::gateway {

// One request and the way back to its client. Owned by the HttpSession for the time of the
// request; on its strand only.
struct Exchange {
  const asio::any_io_executor& strand;
  const HttpPeer& peer;
  const HttpRequest& request;
  Responder& responder;
  Cancellation& cancellation;
  RequestReader& reader;
  LedgerEntry& account;
  StatedCaller& caller;  // whose request it is, once the Dispatcher knows

  // For calls that may take long: from now on a client that goes away cancels what runs.
  // RESOURCE_EXHAUSTED, and no watch: this client has as many of them as it may.
  [[nodiscard]] absl::Status watch_client() const {
    absl::Status status = account.begin_stream();
    if (status.ok()) reader.start_watch([&cancel = cancellation] { cancel.cancel(); });
    return status;
  }
  // The same for a call that waits for nothing, and is not counted.
  void watch_short_call() const {
    reader.start_watch([&cancel = cancellation] { cancel.cancel(); });
  }
};

}  // namespace clusterd::gateway
