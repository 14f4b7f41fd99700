"""Ports for servers that cannot pick theirs and say which it is."""
import contextlib
import itertools
import os
import socket

# Below what the kernel gives to who asks for any, as each of the other tests' connections does.
FIRST = 10_000
COUNT = 20_000
EACH = 10  # processes begin so far from each other

_next = itertools.count(os.getpid() * EACH)


def free_port():
    """A port of 127.0.0.1 that nobody has, and that this process has not been given yet."""
    while True:
        port = FIRST + next(_next) % COUNT
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def free_ports(count):
    """So many in a row."""
    ports = [free_port()]
    while len(ports) < count:
        port = free_port()
        ports = [*ports, port] if port == ports[-1] + 1 else [port]
    return ports
