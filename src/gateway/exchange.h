#pragma once

#include <boost/asio/any_io_executor.hpp>

#include "gateway/cancellation.h"
#include "gateway/http_message.h"
#include "gateway/request_reader.h"
#include "gateway/responder.h"

namespace clusterd::gateway {

// One request and the way back to its client. Owned by the HttpSession for the time of the
// request; on its strand only.
struct Exchange {
  const asio::any_io_executor& strand;
  const HttpRequest& request;
  Responder& responder;
  Cancellation& cancellation;
  RequestReader& reader;

  // From now on a client that goes away cancels what runs. For calls that may take long.
  void watch_client() const {
    reader.start_watch([&cancel = cancellation] { cancel.cancel(); });
  }
};

}  // namespace clusterd::gateway
