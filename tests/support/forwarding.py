"""Forwarding sockets: a remote BuildKit, and a registry that dies."""

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
    """Accepts connections on a socket, and pipes each to a new one, until it is closed."""

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
        """Refuse new connections and close open ones."""
        with self._lock:
            self.closed = True
            everything = [self._listener, *self._open]
        for one in everything:
            with contextlib.suppress(OSError):  # also ends the listener's accept()
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
    """Forward bytes until the source ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            if watch is not None:
                watch(data)
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def remote_buildkit(docker: str) -> Iterator[str]:
    """Yield the address of a BuildKit for buildx's remote driver, from the socket of a dockerd.

    dockerd hands a connection over to its BuildKit on request; buildx's remote driver expects a
    BuildKit without such a handshake.
    """

    def connect() -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(docker)
        connection.sendall(
            b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):  # byte by byte: the rest is BuildKit's
            byte = connection.recv(1)
            answer += byte
            if not byte:
                break
        if b" 101 " not in answer:
            connection.close()
            raise ConnectionError(answer)  # the caller reports that no BuildKit answers
        return connection

    folder = Path(tempfile.mkdtemp(prefix="buildkit-"))  # its path must be short
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "buildkitd.sock"))
    forwarder = Forwarder(listener, connect)
    try:
        yield f"unix://{folder}/buildkitd.sock"
    finally:
        forwarder.close()
        shutil.rmtree(folder)


class Gate:
    """A proxy to a registry that closes for good when one upload too many begins."""

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
        """Return whether the gate has closed."""
        return self._forwarder.closed

    def close(self) -> None:
        """Close it now."""
        self._forwarder.close()

    def _count(self, data: bytes) -> None:
        """Count the requests that finish an upload of a blob; each contains the blob."""
        with self._lock:
            self._left -= data.count(b"PUT /v2/")
            too_many = self._left < 0
        if too_many:
            self._forwarder.close()
