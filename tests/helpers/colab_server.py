"""A Jupyter server that answers as Colab's does, or as none should."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import quote


def session(path: str, kernel: str = "1") -> dict:
    """One notebook that is open, as `api/sessions` lists it."""
    return {"id": f"session-{kernel}", "kernel": {"id": kernel, "name": "python3"}, "path": path, "type": "notebook"}


def of_github(address: str, branch: str = "main", notebook: str = "mrss") -> str:
    """The path of a notebook that was opened from GitHub."""
    return f"fileId={quote(f'https://github.com/{address}/blob/{branch}/book/{notebook}.ipynb', safe='')}"


@contextmanager
def colab_server(answer: object, status: int = 200, late: bool = False) -> Iterator[dict[str, str]]:
    """A server on a free port, and the variables by which a kernel finds it.

    answer  bytes as they are, anything else as JSON
    late    answer when the server ends, not before
    """
    ended = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if late:
                ended.wait()
            known = self.path == "/api/sessions"
            self.send_response(status if known else 404)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield {"COLAB_JUPYTER_IP": "127.0.0.1", "KMP_TARGET_PORT": str(server.server_port)}
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
