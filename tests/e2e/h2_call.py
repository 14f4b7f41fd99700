"""One gRPC call without a gRPC library: enough of HTTP/2 to ask whether a caller is let in."""
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header(name, value):
    """A literal without indexing and without Huffman coding (RFC 7541, 6.2.2)."""
    name, value = name.encode(), value.encode()
    assert len(name) < 127 and len(value) < 127
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def read_exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("closed")
        data += piece
    return data


class H2Connection:
    """A connection with a client certificate, or with a bearer token. Calls carry one empty message."""

    def __init__(self, address, ca, crt=None, key=None, seconds=10, token=""):
        host, port = address.rsplit(":", 1)
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = False
        if crt:
            context.load_cert_chain(crt, key)
        self.token = token
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection((host, int(port)), seconds))
        self.socket.sendall(PREFACE + frame(SETTINGS, 0, 0))
        self.next_stream = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, path, wait=10):
        """True once the call has been ended by the server; False: it goes on after `wait` s."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        headers = b"".join(header(name, value) for name, value in (
            (":method", "POST"), (":scheme", "https"), (":path", path), (":authority", "test"),
            ("te", "trailers"), ("content-type", "application/grpc"),
            *([("authorization", f"Bearer {self.token}")] if self.token else [])))
        self.socket.sendall(frame(HEADERS, END_HEADERS, stream, headers) +
                            frame(DATA, END_STREAM, stream, b"\0\0\0\0\0"))
        self.socket.settimeout(wait)
        try:
            while True:
                head = read_exactly(self.socket, 9)
                length = struct.unpack(">I", b"\0" + head[:3])[0]
                kind, flags, where = struct.unpack(">BBI", head[3:])
                payload = read_exactly(self.socket, length)
                if kind == SETTINGS and not flags & ACK:
                    self.socket.sendall(frame(SETTINGS, ACK, 0))
                elif kind == PING and not flags & ACK:
                    self.socket.sendall(frame(PING, ACK, 0, payload))
                elif kind == GOAWAY:
                    raise ConnectionError("the server ends the connection")
                elif where == stream and (kind == RST_STREAM or
                                          (kind in (HEADERS, DATA) and flags & END_STREAM)):
                    return True
        except TimeoutError:
            self.socket.sendall(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
            return False
