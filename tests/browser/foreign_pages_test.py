"""What a page of another origin can do with a scheduler that its reader's browser can reach: nothing.
Neither can one whose name was made to lead to the scheduler (DNS rebinding).

The pages are real ones, in a real Chromium that knows the foreign names as addresses of this machine.
"""
import http.server
import select
import socket
import socketserver
import threading
import unittest

from dashboard_case import Browser, Cluster, wait_until

# Each is one way to send a request, and resolves to what the page learnt; "" is nothing.
READS = {
    "fetch": "fetch(url).then((r) => r.text()).catch(() => '')",
    "fetch without CORS": "fetch(url, {mode: 'no-cors'}).then((r) => r.text()).catch(() => '')",
    "XMLHttpRequest": "new Promise((done) => { const x = new XMLHttpRequest(); x.onloadend = () => "
                      "done(x.responseText); x.open('GET', url); x.send(); })",
    "frame": "new Promise((done) => { const f = document.createElement('iframe'); f.src = url; "
             "f.onload = () => { let t = ''; try { t = f.contentDocument.body.innerText; } catch {} "
             "done(t); }; document.body.append(f); })",
    "script": "new Promise((done) => { const s = document.createElement('script'); s.src = url; "
              "s.onload = () => done('loaded'); s.onerror = () => done(''); document.body.append(s); })",
    "event source": "new Promise((done) => { const e = new EventSource(url.replace('/jobs', '/events?since=0')); "
                    "e.onopen = () => done('opened'); e.onerror = () => { e.close(); done(''); }; })",
}
WRITES = {
    "fetch as text": "fetch(url, {method: 'POST', mode: 'no-cors', body})",
    "fetch as JSON": "fetch(url, {method: 'POST', body, headers: {'Content-Type': 'application/json'}})",
    "beacon": "Promise.resolve(navigator.sendBeacon(url, body))",
    "form": "new Promise((done) => { const f = document.createElement('form'); f.method = 'POST'; "
            "f.enctype = 'text/plain'; f.action = url; f.target = 'sink'; const i = "
            "document.createElement('input'); i.name = body.slice(0, -1) + ', \"name\": \"'; i.value = '\"}'; "
            "f.append(i); const s = document.createElement('iframe'); s.name = 'sink'; "
            "s.onload = () => done(); document.body.append(s, f); f.submit(); })",
}
BODY = '{"path": "hello.sh", "command": "bash"}'
SECRET = "a-name-to-find"


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """The attacker's site: an empty page for every path."""

    def do_GET(self):
        page = b"<!doctype html><title>elsewhere</title><body>elsewhere</body>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


class Rebinding(socketserver.BaseRequestHandler):
    """The attacker's site, until its name leads to the scheduler: then the bytes go there."""

    def handle(self):
        if self.server.leads_elsewhere:
            self.request.recv(65536)
            page = b"<!doctype html><title>elsewhere</title><body>elsewhere</body>"
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n"
                                 b"Content-Length: %d\r\n\r\n%s" % (len(page), page))
            return
        with socket.create_connection(self.server.scheduler) as upstream:
            ends = [self.request, upstream]
            while ends:
                for end in select.select(ends, [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    (upstream if end is self.request else self.request).sendall(data)


class Rebound(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    leads_elsewhere = True

    def __init__(self, port):
        super().__init__(("127.0.0.2", port), Rebinding)
        self.scheduler = ("127.0.0.1", port)

    def handle_error(self, request, client_address):
        pass  # the browser or the scheduler has ended the connection


class ForeignPagesTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.cluster.script("hello.sh", "echo hello")
        self.cluster.start_worker()
        self.cluster.wait(self.cluster.start("hello.sh", name=SECRET))
        server = self.serve(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere))
        self.foreign_port = server.server_address[1]
        self.port = int(self.cluster.http_address.rsplit(":", 1)[1])
        self.rebound = self.serve(Rebound(self.port))
        self.browser = Browser("--host-resolver-rules=MAP rebound.example 127.0.0.2, MAP *.example 127.0.0.1")
        self.addCleanup(self.browser.close)

    def serve(self, server):
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def page_at(self, url):
        page = self.browser.page()
        page.open(url)
        page.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def ask(self, page, expression, url):
        return page.evaluate(f"(() => {{ const url = {url!r}, body = {BODY!r}; "
                             f"return Promise.race([{expression}, new Promise((d) => setTimeout(d, 5000, ''))])"
                             f".then((v) => String(v ?? '')).catch(() => ''); }})()")

    def try_all(self, page, url):
        """Nothing of it is read and nothing of it starts a job."""
        before = self.cluster.job_ids()
        for name, expression in READS.items():
            with self.subTest(reads=name):
                learnt = self.ask(page, expression, url)
                self.assertNotIn(SECRET, learnt)
                self.assertNotIn(learnt, ("loaded", "opened"))
        for name, expression in WRITES.items():
            with self.subTest(writes=name):
                self.ask(page, expression, url)
        self.assertEqual(self.cluster.job_ids(), before)

    def test_our_own_page_can(self):
        """What the other tests try does work where it is allowed to."""
        page = self.page_at(f"http://127.0.0.1:{self.port}/")
        url = f"http://127.0.0.1:{self.port}/v1/jobs"

        self.assertIn(SECRET, self.ask(page, READS["fetch"], url))
        self.ask(page, WRITES["fetch as JSON"], url)
        wait_until(lambda: len(self.cluster.job_ids()) == 2, "our own page starts a job")

    def test_a_page_of_another_origin_cannot(self):
        for origin in (f"http://elsewhere.example:{self.foreign_port}",
                       f"http://127.0.0.1:{self.foreign_port}"):
            page = self.page_at(origin)
            for host in ("127.0.0.1", "localhost"):
                with self.subTest(origin=origin, host=host):
                    self.try_all(page, f"http://{host}:{self.port}/v1/jobs")

    def test_a_page_whose_name_leads_here_cannot(self):
        """DNS rebinding: its own origin has become the scheduler's address and port."""
        origin = f"http://rebound.example:{self.port}"
        page = self.page_at(origin)
        self.assertEqual((page.evaluate("location.origin"), page.text()), (origin, "elsewhere"))

        self.rebound.leads_elsewhere = False

        self.assertIn("allowed_hosts", self.ask(page, READS["fetch"], f"{origin}/v1/jobs"))
        self.try_all(page, f"{origin}/v1/jobs")


if __name__ == "__main__":
    unittest.main(verbosity=2)
