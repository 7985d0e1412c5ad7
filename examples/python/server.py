"""A web app of Python's standard library alone."""

import html
import os
import platform
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CLUSTER = os.environ.get("STELE_CLUSTER", "no cluster")
GENERATION = os.environ.get("STELE_GENERATION", "0")
MAX_BODY_BYTES = 1 << 20
MAX_SLOW_MS = 60_000
SLOW_CHUNK_MS = 50
DRAIN_SECONDS = 65.0
ACCEPTED_SECONDS = 0.05  # A connection accepted just before the stop gets to send its request.

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Python in {cluster}</title>
<style>
  :root {{ color-scheme: light dark; --ink: #1d2430; --dim: #66707f; --paper: #f6f5f1; --card: #fff; --accent: #7a5c1e; }}
  @media (prefers-color-scheme: dark) {{
    :root {{ --ink: #e9e6df; --dim: #98a0ac; --paper: #15181d; --card: #1e2229; --accent: #e0bd6b; }}
  }}
  body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; box-sizing: border-box;
         background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }}
  main {{ width: min(34rem, 100%); box-sizing: border-box; padding: 2.5rem; border-radius: 14px; background: var(--card);
         border-top: 5px solid var(--accent); box-shadow: 0 12px 40px rgb(0 0 0 / .09); }}
  h1 {{ margin: 0 0 .4rem; font-size: 2.1rem; letter-spacing: -.02em; }}
  p {{ margin: 0; color: var(--dim); }}
</style>
<main>
  <h1>Python {version}</h1>
  <p>Served by <b>{cluster}</b>, generation {generation}. No framework, no Node.</p>
</main>
</html>
"""


class Requests:
    """Counts the requests in flight, so that a stop can wait for them."""

    def __init__(self):
        self._changed = threading.Condition()
        self._count = 0

    def begin(self):
        with self._changed:
            self._count += 1

    def end(self):
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def wait_for_none(self, seconds):
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, seconds)


requests = Requests()
stopping = threading.Event()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A head and its body are two writes: without this they wait for each other's acknowledgement.
    disable_nagle_algorithm = True

    def handle_one_request(self):
        self.in_flight = False
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True
        finally:
            if self.in_flight:
                requests.end()
            if stopping.is_set():
                self.close_connection = True

    def parse_request(self):
        # Called once the request line has been read: from here on there is something to finish.
        self.in_flight = True
        requests.begin()
        return super().parse_request()

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/slow":
            self.send_slowly(parse_qs(url.query).get("ms", ["1000"])[0])
        elif url.path == "/":
            self.send_index()
        else:
            self.send_text(404, "Not found\n")

    def do_POST(self):
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if urlsplit(self.path).path != "/echo" or not 0 <= length <= MAX_BODY_BYTES:
            self.close_connection = True
            self.send_text(404, "POST /echo takes a body with a Content-Length, of 1 MiB at most\n")
            return
        self.send_body(200, self.headers.get("Content-Type", "text/plain"), self.rfile.read(length))

    def send_index(self):
        if "text/html" in self.headers.get("Accept", ""):
            page = PAGE.format(
                cluster=html.escape(CLUSTER),
                generation=html.escape(GENERATION),
                version=platform.python_version(),
            )
            self.send_body(200, "text/html; charset=utf-8", page.encode())
        else:
            self.send_text(200, f"Hello from Python in {CLUSTER} (generation {GENERATION})\n")

    def send_slowly(self, asked):
        total_ms = min(int(asked), MAX_SLOW_MS) if asked.isdigit() else 1_000
        lines = max(1, total_ms // SLOW_CHUNK_MS)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Served-By", CLUSTER)
        self.end_headers()
        for line in range(1, lines + 1):
            time.sleep(total_ms / lines / 1_000)
            self.send_chunk(f"{CLUSTER} {line}/{lines}\n".encode())
        self.send_chunk(b"end\n")
        self.send_chunk(b"")

    def send_chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def send_text(self, status, text):
        self.send_body(status, "text/plain; charset=utf-8", text.encode())

    def send_body(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Served-By", CLUSTER)
        if stopping.is_set() or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code="-", size="-"):
        """Requests are the proxy's to log."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # The default of 5 turns away a burst.


def main():
    address = (os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "3000")))
    server = Server(address, Handler)

    def stop(_signal, _frame):
        stopping.set()
        # shutdown() waits for the loop that this very thread runs.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    print(f"python listens on port {server.server_address[1]} in {CLUSTER}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.socket.close()
    time.sleep(ACCEPTED_SECONDS)
    requests.wait_for_none(DRAIN_SECONDS)
    sys.stdout.flush()
    os._exit(0)  # Idle keep-alive connections are no reason to stay.


if __name__ == "__main__":
    main()
