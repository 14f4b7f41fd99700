#!/bin/sh
# Makes Python's modules for the schema: stubs.sh FOLDER [PROTO_FOLDER]. Debian's protobuf-compiler and
# protobuf-compiler-grpc; the schema is in share/clusterd/proto of an installation, or in proto/.
set -eu
proto=${2:-$(dirname "$0")/../../proto}
mkdir -p "$1"
for file in clusterd/v1/http clusterd/v1/job clusterd/v1/output clusterd/v1/queue \
            clusterd/v1/schedule clusterd/v1/worker clusterd/v1/cluster_service \
            clusterd/v1/scheduler_service clusterd/v1/worker_service \
            google/api/annotations google/api/http google/rpc/status google/rpc/error_details; do
  protoc -I"$proto" --python_out="$1" "$file.proto"
done
for file in cluster_service scheduler_service worker_service; do
  protoc -I"$proto" --plugin=protoc-gen-grpc="$(command -v grpc_python_plugin)" --grpc_out="$1" \
    "clusterd/v1/$file.proto"
done
