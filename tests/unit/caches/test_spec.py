"""Caches as users write them, and the errors for mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poetry_docker_cache.caches.backends import BACKENDS, BadCache, Use
from poetry_docker_cache.caches.spec import (
    Cache,
    Folder,
    Store,
    is_folder,
    parse,
    parse_list,
    placed,
)
from poetry_docker_cache.docker import go_csv
from poetry_docker_cache.docker.image_names import is_reference, normalised

CANARY = "c4nary"
DIGEST = f"sha256:{'a' * 64}"


def store(kind: str, **options: str) -> Store:
    """Make a cache; `__` in the name of an option is a hyphen."""
    return Store(type=kind, options=tuple((k.replace("__", "-"), v) for k, v in options.items()))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("host:5000/team/app:cache", store("registry", ref="host:5000/team/app:cache")),
        ("ghcr.io/team/app", store("registry", ref="ghcr.io/team/app")),
        ("team/app", store("registry", ref="team/app")),
        ("./cache", Folder(path="./cache")),
        ("../a b", Folder(path="../a b")),
        ("/var/cache/x", Folder(path="/var/cache/x")),
        ("~/cache", Folder(path="~/cache")),
        (".", Folder(path=".")),
        ("./a=b,c", Folder(path="./a=b,c")),
        ("type=gha", store("gha")),
        ("type=inline", store("inline")),
        ("type=gha,scope=a,MODE=min", store("gha", scope="a", mode="min")),
        ('type=local,"src=/a,b",dest=/c', store("local", src="/a,b", dest="/c")),
        ("type=local,dest=x", store("local", src="x", dest="x")),
        (
            {"type": "s3", "region": "eu", "bucket": "b", "use_path_style": True},
            store("s3", region="eu", bucket="b", use_path_style="true"),
        ),
        (
            {"type": "registry", "ref": "h.io/x", "compression-level": 3},
            store("registry", ref="h.io/x", compression__level="3"),
        ),
        (
            {"type": "registry", "ref": "h.io/x", "registry": {"insecure": True}},
            Store(type="registry", options=(("ref", "h.io/x"), ("registry.insecure", "true"))),
        ),
    ],
)
def test_cache_is_parsed(value: object, expected: Cache) -> None:
    """It is an image, a folder, or a backend as a string or a table."""
    assert parse(value, "both") == expected


@pytest.mark.parametrize(
    ("value", "use", "why", "fix"),
    [
        ("", "both", "it is empty", ""),
        ("a\nb", "both", "a line break", ""),
        (5, "both", "neither a string nor a table", ""),
        ("https://ghcr.io/a/b", "both", "has no scheme", "before the host"),
        ("Team/App", "both", "are lower case", ""),
        ("h.io/a,h.io/b", "both", "more than one cache", "--cache-from"),
        ("a b", "both", "not a valid image name", "begins with ./"),
        (f"h.io/a@{DIGEST}", "both", "pushed to a digest", "--cache-from"),
        ("buildcache", "both", "an official image of Docker Hub", "./buildcache"),
        ("docker.io/library/a", "to", "an official image of Docker Hub", ""),
        ("ref=h.io/x", "both", "`type` is missing", "registry, local, gha, s3, azblob, inline"),
        (
            "type=regsitry,ref=h.io/x",
            "both",
            "no cache of the type `regsitry`",
            "Did you mean registry?",
        ),
        ("type=registry,ref", "both", "`ref` is not an option with a value", "type=…"),
        ("type=registry,,ref=h.io/x", "both", "an empty option", ""),
        ("type=registry", "both", "`ref` is missing", "type=registry,ref=…"),
        ("type=registry,ref=", "both", "a variable may be unset", ""),
        (
            "type=registry,ref=h.io/x,mdoe=max",
            "both",
            "`mdoe` is not an option",
            "Did you mean mode?",
        ),
        (
            "type=registry,ref=h.io/x,ignore_error=true",
            "both",
            "not an option",
            "Did you mean ignore-error?",
        ),
        ("type=registry,ref=h.io/x,mode=all", "both", "`mode` takes `min` or `max`", ""),
        ("type=registry,ref=h.io/x,compression=lz4", "both", "`uncompressed`, `gzip`", ""),
        ("type=registry,ref=h.io/x,compression-level=99", "both", "from 0 to 22", ""),
        ("type=registry,ref=h.io/x,ignore-error=yes", "both", "`true` or `false`", ""),
        ("type=registry,ref=h.io/x,mode=max", "from", "an option of exports only", "--cache-to"),
        ("type=local,src=x", "to", "an option of imports only", "--cache-from"),
        ("type=local,mode=max", "both", "`src` is missing", ""),
        ("type=inline,mode=max", "to", "not an option of type=inline", "has no options"),
        ("type=inline", "from", "is read with its image", "Name that image"),
        ("type=gha,timeout=10", "both", "a duration such as `10m`", ""),
        ("type=s3,bucket=b", "both", "`region` is missing", ""),
        ("type=s3,region=r,bucket=b,upload_parallelism=0", "both", "1 or more", ""),
        (
            "type=s3,region=r,bucket=b,endpoint-url=h",
            "both",
            "not an option",
            "Did you mean endpoint_url?",
        ),
        ("type=azblob", "both", "`name` is missing", ""),
        ('type=local,"src=a', "from", "its quotes are not valid", ""),
        ({"type": "gha", "scope": ["a"]}, "both", "`scope` is not a line of text", ""),
    ],
)
def test_mistake_is_an_error_with_a_fix(value: object, use: Use, why: str, fix: str) -> None:
    """BuildKit would misread or ignore it."""
    with pytest.raises(BadCache) as caught:
        parse(value, use)
    assert why in caught.value.why
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        (f"type=gha,token={CANARY}", "ACTIONS_RUNTIME_TOKEN"),
        (f"type=gha,ghtoken={CANARY}", "leave it out"),
        (f"type=s3,region=a,bucket=b,access_key_id={CANARY}", "AWS_ACCESS_KEY_ID"),
        (f"type=s3,region=a,bucket=b,secret_access_key={CANARY}", "AWS_SECRET_ACCESS_KEY"),
        (f"type=s3,region=a,bucket=b,session_token={CANARY}", "AWS_SESSION_TOKEN"),
        (f"type=azblob,name=x,secret_access_key={CANARY}", "AZURE_CLIENT_SECRET"),
        (f"type=azblob,name=x,account_key={CANARY}", "AZURE_CLIENT_SECRET"),
        (f"type=s3,region=a,bucket=b,endpoint_url=https://me:{CANARY}@h", ""),
        (f"type=azblob,name=x,account_url=https://h/?sig={CANARY}", ""),
        (f"type=gha,token,{CANARY}", ""),
        (f"me:{CANARY}@h.io/x", ""),
        (f"https://me:{CANARY}@h.io/x", ""),
        (f"type=registry,ref=me:{CANARY}@h.io/x", ""),
        (f'type=gha,"token={CANARY}', ""),
        (f"type=registry,mode=all,ref=me:{CANARY}@h.io/x", ""),
    ],
)
def test_credential_is_rejected_and_not_shown(text: str, instead: str) -> None:
    """The fix names the environment variable to use instead."""
    with pytest.raises(BadCache) as caught:
        parse(text, "both")
    assert instead.lower() in caught.value.fix.lower()
    assert CANARY not in caught.value.why + caught.value.fix
    assert not caught.value.quotable


def test_list_with_a_credential_is_not_shown() -> None:
    """An error would quote the whole list."""
    with pytest.raises(BadCache) as caught:
        parse_list(f"H.io/X,me:{CANARY}@h.io/x", "from")
    assert not caught.value.quotable


def test_list_of_images_is_split() -> None:
    """BuildKit splits it, too; a comma in the name of a folder is kept."""
    assert parse_list("h.io/a,h.io/b", "from") == [
        store("registry", ref="h.io/a"),
        store("registry", ref="h.io/b"),
    ]
    assert parse_list("./a,b", "from") == [Folder(path="./a,b")]
    with pytest.raises(BadCache, match="more than one cache"):
        parse_list("h.io/a,h.io/b", "both")


def test_folders_become_absolute() -> None:
    """Relative ones are resolved from the project; notes show what the user wrote."""
    folder = placed(Folder(path="./a/../b"), Path("/src"))
    assert folder == Folder(path="/src/b")
    assert str(folder) == "folder ./a/../b"
    local = placed(store("local", src="x", dest="/y"), Path("/src"))
    assert local == store("local", src="/src/x", dest="/y")
    assert placed(store("gha"), Path("/src")) == store("gha")


def test_import_and_export_have_their_own_options() -> None:
    """Options of exports are left out of imports; the user's options win over defaults."""
    cache = store("registry", ref="h.io/x", mode="min", compression="zstd")
    assert cache.words(writing=False) == "type=registry,ref=h.io/x"
    extra = {"mode": "max", "ignore-error": "true"}
    assert cache.words(writing=True, extra=extra) == (
        "type=registry,ref=h.io/x,mode=min,compression=zstd,ignore-error=true"
    )
    assert store("local", src="/a,b", dest="/c").words(writing=False) == 'type=local,"src=/a,b"'


def test_secret_is_never_an_option() -> None:
    """No backend accepts an option that it also rejects."""
    for backend in BACKENDS.values():
        assert not backend.secrets.keys() & backend.options.keys()


@given(st.text())
def test_any_text_is_parsed_or_rejected(text: str) -> None:
    """Only BadCache is raised, and BuildKit gets accepted options unchanged."""
    try:
        cache = parse(text, "to")
    except BadCache:
        return
    if isinstance(cache, Store):
        words = go_csv.fields_of(cache.words(writing=True))
        assert words == [f"type={cache.type}", *(f"{k}={v}" for k, v in cache.options)]
    else:
        assert is_folder(text)


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0")), min_size=1))
def test_written_csv_is_read_back(fields: list[str]) -> None:
    """Fields may contain quotes and commas."""
    assert go_csv.fields_of(go_csv.record(*fields)) == fields


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("shop", "docker.io/library/shop:latest"),
        ("team/shop:1", "index.docker.io/team/shop:1"),
        ("docker.io/shop", "shop:latest"),
        ("HOST.io/shop", "host.io/shop:latest"),
        ("localhost/shop", "localhost/shop:latest"),
        (f"shop:1@{DIGEST}", f"docker.io/library/shop@{DIGEST}"),
    ],
)
def test_equal_names_are_normalised_to_one(one: str, other: str) -> None:
    """Docker's defaults are `docker.io`, `library` and `latest`."""
    assert is_reference(one)
    assert normalised(one) == normalised(other)


def test_different_names_stay_different() -> None:
    """A host is not part of a path, and a port is not a tag."""
    names = ["a/b", "a.io/b", "a:5000/b", "b", "b:a", "localhost/b", "library/a/b"]
    assert len({normalised(name) for name in names}) == len(names)
