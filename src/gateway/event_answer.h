#pragma once

#include <boost/asio/awaitable.hpp>

#include "gateway/exchange.h"
#include "gateway/route_table.h"
#include "gateway/service_channel.h"

namespace clusterd::gateway {

// Answers a request with the messages of a server stream, each as one server-sent event with its
// JSON as data and its field `seq`, where it has one, as id. `Last-Event-ID` goes into the field
// `since` of the request. Returns when the stream or the client has ended.
asio::awaitable<void> answer_with_events(const Exchange& exchange, const ServiceChannel& channel,
                                         const google::protobuf::MethodDescriptor& method,
                                         MessagePtr request);

}  // namespace clusterd::gateway
