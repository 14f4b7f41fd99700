FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends etcd-client etcd-server \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -m 0700 -o etcd -g etcd /var/lib/etcd
USER etcd
VOLUME /var/lib/etcd
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s CMD ["etcdctl", "endpoint", "health"]
ENTRYPOINT ["etcd"]
