"""A proxy between two processes that does to their bytes what networks do."""
import asyncio
import contextlib
import socket
import threading

CHUNK_BYTES = 65536


class FaultyProxy:
    """Passes TCP connections on to `target` from `address`, until told to harm them.

    What is set holds for all connections, those that come later too, until it is set again:
      delay             seconds that each piece waits, in each direction
      bytes_per_second  of each direction of each connection; None: as fast as it goes
      refusing          whether new connections are ended at once
      silent            whether they are taken, and nothing that their clients send arrives
    `hold` alone is about the connections of that moment. Methods may be called from any thread.
    """

    def __init__(self, target):
        self.target = target
        self.delay = 0
        self.bytes_per_second = None
        self.refusing = False
        self.silent = False
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def hold(self):
        """From now on nothing that these connections' clients send arrives. The returned function
        lets it go on."""
        async def close_gates():
            links = list(self._links)
            for link in links:
                link.gate.clear()
            return links

        async def open_gates():
            for link in {*links, *self._links}:
                link.gate.set()

        links = self._run(close_gates())
        return lambda: self._run(open_gates())

    def cut(self):
        """Ends all connections as a machine does that knows nothing of them: by RST."""
        async def cut_all():
            for link in list(self._links):
                link.reset()

        self._run(cut_all())

    def half_close(self):
        """Tells the server, and not the client, that the other side has ended its direction."""
        async def end_all():
            for link in list(self._links):
                link.half_closed = True  # what the client still says goes nowhere
                with contextlib.suppress(OSError):
                    link.to_server.write_eof()

        self._run(end_all())

    def close(self):
        async def stop():
            self._server.close()
            for link in list(self._links):
                link.reset()
            await asyncio.sleep(0)

        self._run(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _serve(self, reader, writer):
        if self.refusing:
            writer.transport.abort()
            return
        host, _, port = self.target.rpartition(":")
        try:
            from_server, to_server = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, to_server)
        self._links.add(link)
        if self.silent:
            link.gate.clear()
        try:
            await asyncio.gather(self._pass(reader, to_server, link),
                                 self._pass(from_server, writer, None))
        finally:
            self._links.discard(link)
            for end in (writer, to_server):
                end.close()

    async def _pass(self, reader, writer, link):
        with contextlib.suppress(OSError):  # either end has gone; the other one is told
            while data := await reader.read(CHUNK_BYTES):
                if link is not None:
                    await link.gate.wait()
                    if link.half_closed:
                        continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.bytes_per_second:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                writer.write(data)
                await writer.drain()
            if link is None or not link.half_closed:
                writer.write_eof()


class Link:
    def __init__(self, to_client, to_server):
        self.to_client = to_client
        self.to_server = to_server
        self.half_closed = False
        self.gate = asyncio.Event()
        self.gate.set()

    def reset(self):
        for writer in (self.to_client, self.to_server):
            with contextlib.suppress(OSError):
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        self.gate.set()
