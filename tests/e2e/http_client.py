"""A small HTTP/1.1 client that shows what is on the wire: chunks, trailers, cut streams."""
import contextlib
import json
import select
import socket

TIMEOUT_SECONDS = 60


class CutStream(Exception):
    """The connection ended before the last chunk."""


class Answer:
    """Status, headers and body; the body is read when somebody asks for it."""

    def __init__(self, stream, method):
        self._stream = stream
        status_line = stream.readline()
        if not status_line:
            raise ConnectionResetError("the connection was closed without an answer")
        self.status = int(status_line.split()[1])
        self.headers = self._fields()
        self.trailers = {}
        self._body = b"" if method == "HEAD" or self.status in (204, 304) else None

    def _fields(self):
        fields = {}
        while (line := self._stream.readline()) != b"\r\n":
            if not line.endswith(b"\r\n"):
                raise CutStream
            name, value = line.decode("latin-1").split(":", 1)
            fields[name.strip().lower()] = value.strip()
        return fields

    def chunks(self):
        """The body as it arrives; CutStream if it does not come to its proper end."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            left = int(self.headers.get("content-length", 0))
            while left > 0:
                data = self._stream.read(min(left, 1 << 16))
                if not data:
                    raise CutStream
                left -= len(data)
                yield data
            return
        while True:
            size_line = self._stream.readline()
            if not size_line.endswith(b"\r\n"):
                raise CutStream
            size = int(size_line.split(b";")[0], 16)
            if size == 0:
                self.trailers = self._fields()
                return
            data = self._stream.read(size)
            yield data
            if len(data) < size or self._stream.read(2) != b"\r\n":
                raise CutStream

    @property
    def body(self):
        if self._body is None:
            self._body = b"".join(self.chunks())
        return self._body

    def json(self):
        return json.loads(self.body)


class HttpConnection:
    """One connection, kept alive for any number of requests."""

    def __init__(self, address, source="", context=None):
        """`source`: the address that it comes from; `context`: of ssl, for HTTPS."""
        host, port = address.rsplit(":", 1)
        self.address = address
        self.socket = socket.create_connection((host, int(port)), TIMEOUT_SECONDS,
                                               (source, 0) if source else None)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self._stream = self.socket.makefile("rb", buffering=1 << 16)

    def send(self, method, path, body=None, headers=None):
        """Sends a request; `body` is bytes as they are, or anything else as JSON."""
        fields = {"Host": self.address, **(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        if body is not None or method in ("POST", "PUT", "PATCH"):
            fields["Content-Length"] = str(len(body or b""))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        self.socket.sendall(head.encode("latin-1") + (body or b""))

    def request(self, method, path, body=None, headers=None):
        """Sends a request and reads the answer's head; the body before the next request."""
        self.send(method, path, body, headers)
        return self.answer(method)

    def answer(self, method="GET"):
        """Reads the head of the next answer."""
        return Answer(self._stream, method)

    def has_answer(self):
        """Whether a byte of an answer, or the connection's end, has arrived and was not read."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self):
        self._stream.close()
        self.socket.close()


class HttpClient:
    """Whole requests, each on a connection of its own."""

    def __init__(self, address, context=None):
        self.address = address
        self.context = context

    def connect(self):
        return HttpConnection(self.address, context=self.context)

    def request(self, method, path, body=None, headers=None):
        with contextlib.closing(self.connect()) as connection:
            answer = connection.request(method, path, body, headers)
            _ = answer.body
            return answer

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def post(self, path, body=None, headers=None):
        return self.request("POST", path, body, headers)

    @contextlib.contextmanager
    def open(self, path, headers=None):
        """GET whose body is read by the caller, chunk by chunk."""
        with contextlib.closing(self.connect()) as connection:
            yield connection.request("GET", path, None, headers)
