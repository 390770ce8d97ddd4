"""Sockets that pass on what they get: a BuildKit reached as a remote one, a registry that dies."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Connect = Callable[[], socket.socket]
    Watch = Callable[[bytes], None]


class Forwarder:
    """Takes connections on a socket, and pipes each to one of its own, until it is closed."""

    def __init__(
        self, listener: socket.socket, connect: Connect, watch: Watch | None = None
    ) -> None:
        self._listener = listener
        self._connect = connect
        self._watch = watch or (lambda _: None)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.closed = False
        listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse what comes, and cut off what is open."""
        with self._lock:
            self.closed = True
            everything = [self._listener, *self._open]
        for one in everything:
            with contextlib.suppress(OSError):  # a listener's accept() ends by that, too
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self.closed:
            with contextlib.suppress(OSError):
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), self._connect() as server:
            with self._lock:
                if self.closed:
                    return
                self._open |= {client, server}
            back = threading.Thread(target=_pump, args=[server, client], daemon=True)
            back.start()
            _pump(client, server, self._watch)
            back.join()
            with self._lock:
                self._open -= {client, server}


def _pump(source: socket.socket, target: socket.socket, watch: Watch | None = None) -> None:
    """Pass bytes on until there are no more."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if watch is not None:
                watch(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def remote_buildkit(docker: str) -> Iterator[str]:
    """Give the address of a BuildKit for buildx's remote driver: that of a dockerd, by its socket.

    dockerd hands a connection over to its BuildKit when it is asked to; buildx's remote driver
    expects a BuildKit that needs no asking.
    """

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(docker)
        connection.sendall(
            b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # byte by byte: what follows is BuildKit's
            byte = connection.recv(1)
            answer += byte
            if not byte:
                break
        if b" 101 " not in answer:
            connection.close()
            raise ConnectionError(answer)  # whoever asked for it tells that there is none
        return connection

    folder = Path(tempfile.mkdtemp(prefix="buildkit-"))  # a short path: the system wants that
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "buildkitd.sock"))
    forwarder = Forwarder(listener, connect)
    try:
        yield f"unix://{folder}/buildkitd.sock"
    finally:
        forwarder.close()
        shutil.rmtree(folder)


class Gate:
    """A way to a registry that is cut off for good when an upload too many begins."""

    def __init__(self, registry: str, uploads: int) -> None:
        host, _, port = registry.partition(":")
        self._left = uploads
        self._lock = threading.Lock()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self._forwarder = Forwarder(
            listener, lambda: socket.create_connection((host, int(port))), self._count
        )

    @property
    def shut(self) -> bool:
        """Whether it has been cut off."""
        return self._forwarder.closed

    def close(self) -> None:
        """Cut it off now."""
        self._forwarder.close()

    def _count(self, data: bytes) -> None:
        """Count the requests that finish an upload of a blob, each of which carries the blob."""
        with self._lock:
            self._left -= data.count(b"PUT /v2/")
            too_many = self._left < 0
        if too_many:
            self._forwarder.close()
