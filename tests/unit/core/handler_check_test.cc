#include "core/handler_check.h"

#include <catch2/catch.hpp>
#include <string>

#include "clusterd/version.h"
#include "core/field_error.h"
#include "core/job_spec_check.h"

namespace clusterd {
namespace {

v1::JobSpec job_of(const std::string& handler) {
  v1::JobSpec spec;
  spec.set_handler(handler);
  return spec;
}

TEST_CASE("a handler's job needs its name and no script", "[handler_check]") {
  CHECK(check_job_spec(job_of("thumbnail")).ok());
  CHECK(check_job_spec(job_of(std::string(128, 'x'))).ok());
  CHECK(field_of(check_job_spec(job_of(std::string(129, 'x')))) == "handler");
  CHECK(field_of(check_job_spec(job_of(std::string("a\0b", 3)))) == "handler");
  CHECK(field_of(check_job_spec(job_of(""))) == "path");

  v1::JobSpec with_path = job_of("thumbnail");
  with_path.set_path("a.sh");
  CHECK(field_of(check_job_spec(with_path)) == "handler");
  CHECK_THAT(std::string(check_job_spec(with_path).message()), Catch::Contains("path"));
}

TEST_CASE("what only a process has is refused of a handler's job", "[handler_check]") {
  v1::JobSpec separate = job_of("thumbnail");
  separate.mutable_output()->set_mode(v1::OutputSpec::SEPARATE);
  v1::JobSpec limited = job_of("thumbnail");
  limited.mutable_limits()->set_pids(5);
  v1::JobSpec bounded = job_of("thumbnail");
  bounded.mutable_output()->set_max_bytes(100);

  CHECK(field_of(check_job_spec(separate)) == "output.mode");
  CHECK(field_of(check_job_spec(limited)) == "limits");
  CHECK(check_job_spec(bounded).ok());
}

TEST_CASE("a worker's handlers have names of their own", "[handler_check]") {
  google::protobuf::RepeatedPtrField<v1::Handler> handlers;
  CHECK(check_handlers(handlers).ok());
  handlers.Add()->set_name("a");
  handlers.Add();
  CHECK(field_of(check_handlers(handlers)) == "handlers[1].name");
  handlers[1].set_name("b");
  CHECK(check_handlers(handlers).ok());
}

TEST_CASE("the header's version is the program's", "[version]") {
  const std::string of_header = std::to_string(CLUSTERD_VERSION_MAJOR) + "." +
                                std::to_string(CLUSTERD_VERSION_MINOR) + "." +
                                std::to_string(CLUSTERD_VERSION_PATCH);
  CHECK(of_header == version());
}

}  // namespace
}  // namespace clusterd
