"""A keyring for tests."""

from __future__ import annotations

import keyring.backend
import keyring.credentials


class FakeKeyring(keyring.backend.KeyringBackend):
    """A keyring in memory, or one that always fails."""

    priority = 1
    name = "fake"

    def __init__(self, entries: dict[tuple[str, str], str], error: Exception | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries, self.error = entries, error

    def get_password(self, service: str, username: str) -> str | None:
        """Return an entry, or fail."""
        if self.error and service != "python-poetry-check":
            raise self.error
        return self.entries.get((service, username))

    def get_credential(
        self, service: str, username: str | None
    ) -> keyring.credentials.Credential | None:
        """Return the entry of a URL, for any user."""
        if self.error:
            raise self.error
        for (name, user), password in self.entries.items():
            if name == service and username in {None, user}:
                return keyring.credentials.SimpleCredential(user, password)
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store an entry."""
        self.entries[service, username] = password
