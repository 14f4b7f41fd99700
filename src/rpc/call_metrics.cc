#include "rpc/call_metrics.h"

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <utility>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace clusterd {
namespace {

using std::chrono::steady_clock;

// As gRPC's libraries for Prometheus name them.
constexpr std::array kCodeNames = {
    "OK",       "Canceled",        "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",   "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",      "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated",
};

}  // namespace

// One call, from its arrival to the status that it is given.
class CallMetrics::Interceptor final : public grpc::experimental::Interceptor {
 public:
  explicit Interceptor(Method& method) : method_(method) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Hook = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_STATUS)) {
      const auto code = static_cast<size_t>(methods->GetSendStatus().error_code());
      method_.codes[code < kCodes ? code : 2].add();
      method_.seconds.observe(steady_clock::now() - start_);
    }
    methods->Proceed();
  }

 private:
  Method& method_;
  const steady_clock::time_point start_ = steady_clock::now();
};

class CallMetrics::Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallMetrics& metrics) : metrics_(metrics) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new Interceptor(metrics_.find(info->method()));  // gRPC's from here on
  }

 private:
  CallMetrics& metrics_;
};

CallMetrics::CallMetrics(std::initializer_list<const char*> services) {
  other_.service = other_.name = "other";
  for (const char* name : services) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
    if (service == nullptr) continue;
    for (int i = 0; i < service->method_count(); ++i) {
      Method& method = methods_["/" + service->full_name() + "/" + service->method(i)->name()];
      method.service = service->full_name();
      method.name = service->method(i)->name();
    }
  }
}

CallMetrics::Method& CallMetrics::find(std::string_view path) {
  const auto found = methods_.find(path);
  return found == methods_.end() ? other_ : found->second;
}

void CallMetrics::watch(grpc::ServerBuilder& builder) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<Factory>(*this));
  builder.experimental().SetInterceptorCreators(std::move(factories));
}

void CallMetrics::add_to(MetricsPage& page) const {
  const auto each = [this](auto visit) {
    for (const auto& [path, method] : methods_) visit(method);
    visit(other_);
  };
  page.counter("grpc_server_handled_total", "gRPC calls that were answered, by method and code.");
  each([&page](const Method& method) {
    for (size_t code = 0; code < kCodes; ++code) {
      const uint64_t count = method.codes[code].value();
      if (count == 0 && code != 0) continue;
      page.sample(count, {{"grpc_service", method.service},
                          {"grpc_method", method.name},
                          {"grpc_code", kCodeNames[code]}});
    }
  });
  page.histograms("grpc_server_handling_seconds",
                  "From the arrival of a gRPC call to its status; of streams, their whole life.");
  each([&page](const Method& method) {
    if (method.seconds.count() == 0) return;
    page.sample(method.seconds, {{"grpc_service", method.service}, {"grpc_method", method.name}});
  });
}

}  // namespace clusterd
