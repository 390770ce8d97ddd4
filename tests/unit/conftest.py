"""A unit test starts no process and opens no socket; what needs to is an integration test."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyrings import FakeKeyring

_FORBIDDEN = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "socket.",
)


class _Guard:
    """An audit hook, which nothing in Python gets round. One cannot be removed, only switched."""

    def __init__(self) -> None:
        self.active = False
        self.seen: list[str] = []
        self.others: set[int] = set()
        """The threads of earlier tests, which may still ask a registry that has stopped."""

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active or threading.get_ident() in self.others:
            return
        if event.startswith(_FORBIDDEN):
            self.seen.append(f"{event} {args[:2]}")
            raise AssertionError(f"A unit test tried {self.seen[-1]}: move it to tests/integration")


_guard = _Guard()
sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def _no_process_and_no_socket(_isolated_poetry: None) -> Iterator[None]:
    """Fail a test that tries, even if the code under test swallows the exception."""
    _guard.seen.clear()
    threads = {thread.ident for thread in threading.enumerate() if thread.ident}
    _guard.others = threads - {threading.get_ident()}
    _guard.active = True
    yield
    _guard.active = False
    assert not _guard.seen, "A unit test tried to start a process or open a socket"


@pytest.fixture
def use_keyring(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeKeyring], None]:
    """Install a keyring backend for one test, without looking for this machine's."""

    def use(backend: FakeKeyring) -> None:
        monkeypatch.setenv("POETRY_KEYRING_ENABLED", "true")
        monkeypatch.setattr("keyring.core._keyring_backend", backend)

    return use
