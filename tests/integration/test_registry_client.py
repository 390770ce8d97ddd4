"""The registry client with real registries, and with one that fails at every step."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hostile_registry as hostile
import pytest
import trustme
from hostile_registry import PASSWORD
from registries import crane_registry, own_registry
from token_server import IDENTITY, token_server

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.registry import registry_session
from poetry_docker_cache.registry.media_types import OCI_MANIFEST
from poetry_docker_cache.registry.registry_client import Registry, digest_of
from poetry_docker_cache.registry.registry_errors import RegistryError
from poetry_docker_cache.registry.registry_login import Login, Logins
from poetry_docker_cache.registry.registry_session import RegistrySession

BLOB = hashlib.sha256(b"seed").digest() * 40_000  # more than one chunk
DIGEST = digest_of(BLOB)
_BLOB = {"mediaType": "application/vnd.test", "digest": DIGEST, "size": len(BLOB)}
MANIFEST = json.dumps(
    {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _BLOB, "layers": [_BLOB]}
).encode()
CI_USER, CI_PASSWORD = "ci", "r3gistry $x"
HTPASSWD = "ci:$2b$04$bZ3N7LQSm8Gnu4li6rLFVuvXjnjdEm4a/SU59cJdwi8dEc3QHJ/2a\n"


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Provide a file for logins, and hide this machine's."""
    for name in ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder / "config.json"


def log_in(config: Path, host: str, login: str = f"user:{PASSWORD}", **more: str) -> None:
    """Write what `docker login` writes."""
    auth = base64.b64encode(login.encode()).decode()
    config.write_text(json.dumps({"auths": {host: {"auth": auth, **more}}}))


def client(
    host: str, pauses: list[float] | None = None, timeout: tuple[float, float] = (30, 30)
) -> Registry:
    """Return a client that notes its waits instead of waiting."""
    pauses = [] if pauses is None else pauses
    return Registry(RegistrySession(host, pause=pauses.append, timeout=timeout))


def push_and_pull(registry: Registry, repository: str = "team/app") -> None:
    """Write an image, and read it back."""
    registry.upload(
        repository, DIGEST, len(BLOB), lambda: io.BytesIO(BLOB), mount_from=["team/other"]
    )
    registry.put_manifest(repository, "1", MANIFEST, OCI_MANIFEST)
    found = registry.manifest(repository, "1")
    assert found
    assert (found.body, found.digest) == (MANIFEST, digest_of(MANIFEST))
    assert registry.manifest(repository, found.digest) == found
    assert registry.manifest_digest(repository, "1") == found.digest
    assert b"".join(registry.blob(repository, DIGEST, len(BLOB))) == BLOB


FAULTS = (
    *(hostile.RESET, hostile.LOST, hostile.EXPIRED, hostile.HALF, hostile.SHORT),
    *("429", "500"),
)
HEALTHY = 12
"""The number of requests without a fault."""


@pytest.fixture
def one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no certificates, since that takes longer than all requests of a test without TLS."""
    monkeypatch.setattr(
        registry_session, "_tls", lambda *_: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_at_any_request_is_overcome(docker_config: Path, fault: str) -> None:
    """The image arrives complete."""
    for at in range(1, HEALTHY + 1):
        with hostile.hostile_registry(asks_for_login=True) as served:
            log_in(docker_config, served.host)
            served.fault, served.faulty = fault, range(at, at + 1)
            with client(served.host) as registry:
                push_and_pull(registry)
            assert served.blobs["team/app", DIGEST] == BLOB
            assert served.manifests["team/app", "1"] == (OCI_MANIFEST, MANIFEST)
            assert len(served.log) >= HEALTHY, "lower `HEALTHY`, or some faults never occur"


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize("fault", [hostile.RESET, "403", "404", "413", "429", "500", "page"])
def test_lasting_fault_leaves_old_image(docker_config: Path, fault: str) -> None:
    """The error has a fix, the waits are bounded, and no secret is shown."""
    for at in range(1, 9):
        with hostile.hostile_registry(asks_for_login=True) as served:
            log_in(docker_config, served.host)
            old = (OCI_MANIFEST, b"old")
            served.manifests["team/app", "1"] = old
            served.fault, served.faulty = fault, range(at, 1000)
            pauses: list[float] = []
            with client(served.host, pauses) as registry, pytest.raises(RegistryError) as raised:
                push_and_pull(registry)
            assert raised.value.fix
            assert raised.value.__cause__ is raised.value.__context__ is None
            assert sum(pauses) <= 8
            assert served.manifests["team/app", "1"] == old
            shown = f"{raised.value!r} {raised.value}"
            secrets = [PASSWORD, *(given.split()[-1] for _, _, given in served.log if given)]
            assert not [secret for secret in secrets if secret in shown]


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize(
    ("asked", "waits", "status"),
    [("", [0.5, 1.0], 0), ("3", [3.0, 3.0], 0), ("0", [0.5, 1.0], 0), ("3600", [], 429)],
)
def test_waits_as_long_as_server_asks(asked: str, waits: list[float], status: int) -> None:
    """If that is too long, the error comes at once."""
    with hostile.hostile_registry() as served:
        served.fault, served.faulty, served.retry_after = "429", range(2, 4), asked
        pauses: list[float] = []
        with client(served.host, pauses) as registry:
            if status:
                with pytest.raises(RegistryError, match="limits the number") as raised:
                    registry.has_blob("team/app", DIGEST)
                assert raised.value.status == status
            else:
                assert not registry.has_blob("team/app", DIGEST)
        assert pauses == waits


@pytest.mark.usefixtures("one_context")
def test_other_hosts_get_no_credentials(docker_config: Path) -> None:
    """Upload locations and redirects may name them."""
    with (
        hostile.hostile_registry() as storage,
        hostile.hostile_registry(
            asks_for_login=True,
            uploads_at=f"http://{storage.host}",
            blobs_at=f"http://{storage.host}",
        ) as served,
    ):
        log_in(docker_config, served.host)
        (Path.home() / ".netrc").write_text("default login user password netrc-password")
        storage.blobs = served.blobs
        with client(served.host) as registry:
            push_and_pull(registry)
        assert [method for method, _, _ in storage.log] == ["PUT", "GET"]
        assert {given for _, _, given in storage.log} == {""}
        assert not [given for _, path, given in served.log if "netrc" in given]


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://[", "does not answer as a registry"),
        ("https://other.test:99999", "does not answer as a registry"),
        ("ftp://other.test", "does not answer as a registry"),
        ("http://other.test", "refers to other.test without TLS"),
    ],
)
def test_unusable_address_is_refused(docker_config: Path, url: str, why: str) -> None:
    """Neither a layer nor a login is sent to it."""
    for other in ({"uploads_at": url}, {"asks_for_login": True, "realm": f"{url}/token"}):
        with hostile.hostile_registry(**other) as served, client(served.host) as registry:
            log_in(docker_config, served.host)
            with pytest.raises(RegistryError, match=why):
                push_and_pull(registry)


@pytest.mark.usefixtures("one_context")
def test_threads_share_token(docker_config: Path) -> None:
    """Uploads at once ask for it once, and report the bytes that they have sent."""
    sent: dict[str, int] = {}

    def count(_action: str, digest: str, done: int, _total: int | None) -> None:
        sent[digest] = done

    with (
        hostile.hostile_registry(asks_for_login=True) as served,
        Registry(RegistrySession(served.host), count) as registry,
        ThreadPoolExecutor(max_workers=8) as pool,
    ):
        log_in(docker_config, served.host)
        blobs = [BLOB + bytes([number]) for number in range(16)]

        def upload(blob: bytes) -> None:
            registry.upload("team/app", digest_of(blob), len(blob), lambda: io.BytesIO(blob))

        list(pool.map(upload, blobs))
        assert sorted(served.blobs.values()) == blobs
        assert all(sent[digest_of(blob)] == len(blob) for blob in blobs)
        assert sum(path.startswith("/token") for _, path, _ in served.log) == 1


@pytest.mark.usefixtures("one_context")
def test_uploads_only_what_is_missing(docker_config: Path) -> None:
    """A blob that is there is not sent, nor is one that another repository has."""
    with (
        hostile.hostile_registry(asks_for_login=True, denied="denied") as served,
        client(served.host) as registry,
    ):
        log_in(docker_config, served.host)

        def upload(repository: str) -> list[str]:
            served.log.clear()
            registry.upload(
                repository,
                DIGEST,
                len(BLOB),
                lambda: io.BytesIO(BLOB),
                mount_from=["denied", "team/empty", "team/app"],
            )
            assert served.blobs[repository, DIGEST] == BLOB
            return [method for method, path, _ in served.log if path.startswith("/v2/team/")]

        upload("team/first")  # after it, requests have a token from the start
        served.blobs.clear()
        assert upload("team/app") == ["HEAD", "POST", "PUT"]
        assert upload("team/app") == ["HEAD"]
        assert upload("team/new") == ["HEAD", "POST", "POST"]
        served.blobs = {("team/app", DIGEST): BLOB[1:]}
        assert upload("team/app") == ["HEAD", "POST", "PUT"]


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize("status", ["404", "416"])
def test_lost_upload_starts_again(status: str) -> None:
    """The registry may have forgotten where it wanted the content."""
    with hostile.hostile_registry() as served, client(served.host) as registry:
        served.fault, served.faulty = status, range(4, 5)
        registry.upload("team/app", DIGEST, len(BLOB), lambda: io.BytesIO(BLOB))
        methods = [method for method, _, _ in served.log]
        assert methods == ["HEAD", "HEAD", "POST", "PUT", "HEAD", "POST", "PUT"]


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("text/html", b"<html>"),
        ("application/json", b'{"layers": []}'),
        (OCI_MANIFEST, b"[]"),
        (OCI_MANIFEST, b"{}"),
        (OCI_MANIFEST, b'{"layers": [], "manifests": []}'),
        (OCI_MANIFEST, b'{"layers": ['),
    ],
)
def test_other_content_is_not_a_manifest(media_type: str, content: bytes) -> None:
    """Or it could be read in two ways, or is incomplete each time."""
    with hostile.hostile_registry() as served, client(served.host) as registry:
        served.manifests["team/app", "1"] = (media_type, content)
        with pytest.raises(RegistryError, match="does not answer as a registry"):
            registry.manifest("team/app", "1")
        served.manifests["team/app", "1"] = ("application/json", MANIFEST)
        found = registry.manifest("team/app", "1")
        assert found
        assert found.media_type == OCI_MANIFEST


@pytest.mark.usefixtures("one_context")
@pytest.mark.parametrize(("ranges", "starts"), [(True, [0, len(BLOB) // 2]), (False, [0, 0])])
def test_interrupted_download_continues(ranges: bool, starts: list[int]) -> None:
    """If the registry sends it from the beginning, the first part is left out."""
    with hostile.hostile_registry(ranges=ranges) as served, client(served.host) as registry:
        served.blobs["team/app", DIGEST] = BLOB
        served.fault, served.faulty = hostile.SHORT, range(2, 3)
        assert b"".join(registry.blob("team/app", DIGEST, len(BLOB))) == BLOB
        assert served.starts == starts


@pytest.mark.usefixtures("one_context")
def test_damaged_content_is_refused() -> None:
    """A digest differs each time, in a manifest and in a blob; a size is wrong."""
    with hostile.hostile_registry() as served, client(served.host) as registry:
        push_and_pull(registry)
        served.fault, served.faulty = hostile.WRONG, range(1000)
        with pytest.raises(RegistryError, match="its digest differs"):
            registry.manifest("team/app", digest_of(MANIFEST))
        with pytest.raises(RegistryError, match="is damaged"):
            list(registry.blob("team/app", DIGEST, len(BLOB)))
        with pytest.raises(RegistryError, match="states another digest"):
            registry.put_manifest("team/app", "1", MANIFEST, OCI_MANIFEST)
        served.fault = hostile.PAGE
        assert not registry.has_blob("team/app", DIGEST)
        served.fault = ""
        for size in (len(BLOB) - 1, len(BLOB) + 1):
            with pytest.raises(RegistryError):
                list(registry.blob("team/app", DIGEST, size))
        with pytest.raises(DockerCacheError, match="changed while it was uploaded"):
            registry.upload("team/new", DIGEST, len(BLOB), lambda: io.BytesIO(BLOB[1:]))


@pytest.mark.usefixtures("one_context")
def test_registry_that_does_not_answer() -> None:
    """A request ends after its timeout; a closed port is named as such."""
    with hostile.hostile_registry() as served:
        with client(served.host, timeout=(5, 0.2)) as registry:
            assert registry.manifest("team/app", "1") is None
            served.fault, served.faulty = hostile.STALL, range(1000)
            with pytest.raises(RegistryError, match="it does not answer in time"):
                registry.manifest("team/app", "1")
        host = served.host
    with client(host) as registry, pytest.raises(RegistryError, match="connection refused"):
        registry.manifest("team/app", "1")


@pytest.mark.usefixtures("one_context")
def test_http_only_if_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host other than loopback must be named for it; it is reached through the proxy."""
    with hostile.hostile_registry() as served:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{served.host}")
        session = RegistrySession("registry.test", insecure_hosts=["registry.test"])
        with Registry(session) as registry:
            push_and_pull(registry)
        assert all(path.startswith("http://registry.test/v2/") for _, path, _ in served.log)
        served.log.clear()
        with client("registry.test") as registry, pytest.raises(RegistryError, match="proxy"):
            registry.manifest("team/app", "1")
        assert {method for method, _, _ in served.log} <= {"CONNECT"}
        served.log.clear()
        with client(served.host) as registry:  # loopback is reached without a proxy
            push_and_pull(registry)
        assert all(path.startswith("/v2/") for _, path, _ in served.log)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            """printf '{"Username": "u", "Secret": "for %s"}' "$(cat)" """,
            Login(username="u", password="for host.test:5000"),
        ),
        ("""echo '{"Username": "<token>", "Secret": "t"}'""", Login(identity_token="t")),
        ("echo credentials not found in native keychain; exit 1", Login()),
        ("echo secret; exit 1", None),
        ("echo secret", None),
    ],
)
def test_credential_helper(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: Login | None
) -> None:
    """It answers as the protocol says, or its failure becomes the login's problem."""
    program = docker_config.with_name("docker-credential-acme")
    program.write_text(f"#!/bin/sh\nset -e\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    for key in ({"credsStore": "acme"}, {"credHelpers": {"host.test:5000": "acme"}}):
        docker_config.write_text(json.dumps(key))
        login = Logins("host.test:5000").find("team/app")
        if expected is not None:
            assert login == expected
        else:
            assert "docker-credential-acme get" in login.problem
            assert not login.secrets
            assert "secret" not in repr(login)


@pytest.mark.parametrize("config", [{"credsStore": "acme"}, {"credHelpers": {"docker.io": "acme"}}])
def test_helper_is_asked_once_for_docker_hub(
    docker_config: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, object]
) -> None:
    """By the name that Docker stores its login with."""
    program = docker_config.with_name("docker-credential-acme")
    program.write_text("""#!/bin/sh
        echo called >>"$0.log"
        printf '{"Username": "u", "Secret": "for %s"}' "$(cat)"
    """)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    docker_config.write_text(json.dumps(config))
    logins = Logins("docker.io")
    for repository in ("library/python", "team/app"):
        assert logins.find(repository).password == "for https://index.docker.io/v1/"
    assert program.with_name("docker-credential-acme.log").read_text() == "called\n"


def test_docker_registry_with_password(tmp_path: Path, docker_config: Path) -> None:
    """Debian's registry asks for basic authentication; a wrong password is an error."""
    with own_registry(tmp_path, users=HTPASSWD) as host:
        for login in ("", f"{CI_USER}:wrong"):
            if login:
                log_in(docker_config, host, login)
            with client(host) as registry, pytest.raises(RegistryError) as raised:
                push_and_pull(registry)
            assert raised.value.denied
            assert raised.value.fix.endswith(f"Run `docker login {host}`.") == (not login)
        log_in(docker_config, host, f"{CI_USER}:{CI_PASSWORD}")
        with client(host) as registry:
            push_and_pull(registry)
            push_and_pull(registry, "team/mounted")


def test_docker_registry_with_tokens(tmp_path: Path, docker_config: Path) -> None:
    """A login, an identity token, and an anonymous user, who may only pull."""
    with (
        token_server(tmp_path, PASSWORD) as tokens,
        own_registry(tmp_path, auth=tokens.auth) as host,
    ):
        log_in(docker_config, host)
        with client(host) as registry:
            push_and_pull(registry, "team/other")
        tokens.asked.clear()
        with client(host) as registry:  # mounted from team/other
            push_and_pull(registry)
            own, other = "repository:team/app:pull", "repository:team/other:pull"
            assert tokens.asked == [f"GET {own},push", f"GET {own},push {other}", f"GET {own}"]
            for scopes, token in registry._session._tokens.items():
                registry._session._tokens[scopes] = token._replace(header="Bearer expired")
            push_and_pull(registry, "team/app")
        log_in(docker_config, host, "user:", identitytoken=IDENTITY)
        tokens.asked.clear()
        with client(host) as registry:
            push_and_pull(registry, "team/identity")
        assert {asked.split()[0] for asked in tokens.asked} == {"POST"}
        docker_config.unlink()
        with client(host) as registry:
            assert b"".join(registry.blob("team/app", DIGEST, len(BLOB))) == BLOB
            with pytest.raises(RegistryError, match="log in to push to") as raised:
                push_and_pull(registry, "team/new")
            assert raised.value.denied


def test_registry_with_private_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each usual place for the authority works; without it, an error names one."""
    authority = trustme.CA()
    ca, certificate = tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    tls = {"certificate": str(certificate), "key": str(certificate)}
    with own_registry(tmp_path, tls=tls) as address:
        host = address.replace("127.0.0.1", "localhost")
        with client(host) as registry, pytest.raises(RegistryError, match="not trusted") as raised:
            push_and_pull(registry)
        folder = Path.home() / ".docker/certs.d" / host
        assert f"~/.docker/certs.d/{host}/ca.crt" in raised.value.fix
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            with monkeypatch.context() as patch:
                patch.setenv(variable, str(ca))
                with client(host) as registry:
                    push_and_pull(registry)
        with Registry(RegistrySession(host, ca=ca)) as registry:
            push_and_pull(registry)
        with (  # the certificate is for another name
            Registry(RegistrySession(address, ca=ca)) as registry,
            pytest.raises(RegistryError, match="not trusted"),
        ):
            push_and_pull(registry)
        folder.mkdir(parents=True)
        shutil.copy(ca, folder / "ca.crt")
        with client(host) as registry:
            push_and_pull(registry)


def test_crane_registry(tmp_path: Path) -> None:
    """Another implementation, with several uploads at once."""
    with crane_registry(tmp_path) as host, client(host) as registry:
        push_and_pull(registry)
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda number: push_and_pull(registry, f"team/{number}"), range(16)))
        assert registry.manifest("team/app", "missing") is None
        assert registry.manifest("team/missing", "1") is None
        assert not registry.manifest_digest("team/app", "missing")
        assert not registry.has_blob("team/app", digest_of(b"missing"))
        assert not registry.has_blob("team/app", DIGEST, 1)
        registry._session.base = f"https://{host}"
        with pytest.raises(RegistryError, match="does not use TLS"):
            registry.manifest("team/app", "1")
