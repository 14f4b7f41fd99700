#include "store/etcd_pages.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace clusterd {
namespace {

constexpr int64_t kKeysOfPage = 1'000;
constexpr size_t kKeysOfRead = 100;  // below etcd's bound of operations in a transaction
constexpr auto kPageTimeout = std::chrono::seconds(6);

}  // namespace

absl::StatusOr<int64_t> for_each_key(
    EtcdClient& client, const EtcdPagesOf& pages,
    absl::FunctionRef<absl::StatusOr<bool>(const mvccpb::KeyValue&)> visit) {
  etcdserverpb::RangeRequest request;
  request.set_key(pages.from.empty() ? pages.prefix : pages.from);
  request.set_range_end(end_of_prefix(pages.prefix));
  request.set_revision(pages.revision);
  uint64_t most = kKeysOfPage;
  uint64_t visited = 0;
  while (true) {
    const uint64_t left = pages.limit == 0 ? most : pages.limit - visited;
    request.set_limit(static_cast<int64_t>(std::min(most, left)));
    const auto page = client.range(request, {.timeout = kPageTimeout});
    // More than one answer may hold: their records are large.
    if (absl::IsResourceExhausted(page.status()) && most > 1) {
      most = std::max<uint64_t>(1, most / 8);
      continue;
    }
    if (!page.ok()) return page.status();
    if (request.revision() == 0) request.set_revision(page->header().revision());
    for (const mvccpb::KeyValue& found : page->kvs()) {
      const absl::StatusOr<bool> goes_on = visit(found);
      if (!goes_on.ok()) return goes_on.status();
      if (!*goes_on) return request.revision();
    }
    visited += static_cast<uint64_t>(page->kvs_size());
    if (!page->more() || page->kvs().empty() || (pages.limit > 0 && visited >= pages.limit)) {
      return request.revision();
    }
    request.set_key(page->kvs(page->kvs_size() - 1).key() + '\0');
  }
}

absl::StatusOr<std::vector<std::optional<std::string>>> read_keys(
    EtcdClient& client, const std::vector<std::string>& keys) {
  std::vector<std::optional<std::string>> values;
  values.reserve(keys.size());
  for (size_t begin = 0; begin < keys.size(); begin += kKeysOfRead) {
    const size_t end = std::min(keys.size(), begin + kKeysOfRead);
    etcdserverpb::TxnRequest request;
    for (size_t i = begin; i < end; ++i) {
      request.add_success()->mutable_request_range()->set_key(keys[i]);
    }
    auto answer = client.read(request, {.timeout = kPageTimeout});
    if (!answer.ok()) return answer.status();
    if (answer->responses_size() != static_cast<int>(end - begin)) {
      return absl::InternalError(absl::StrCat("etcd was asked for ", end - begin,
                                              " keys, and has answered ",
                                              answer->responses_size()));
    }
    for (etcdserverpb::ResponseOp& response : *answer->mutable_responses()) {
      auto& kvs = *response.mutable_response_range()->mutable_kvs();
      values.push_back(kvs.empty()
                           ? std::nullopt
                           : std::optional<std::string>(std::move(*kvs[0].mutable_value())));
    }
  }
  return values;
}

}  // namespace clusterd
