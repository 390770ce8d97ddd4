"""Run the shell code of the pipelines with a fake `poetry` that records its arguments."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ci_files import golden, scripts

from poetry_docker_cache.registry.registry_login import Logins
from poetry_docker_cache.render.ci_files import CI_KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poetry_docker_cache.render.ci_files import CiKind

NOTE = """\
#!/bin/sh
case "$*" in *--help) exit 0 ;; esac
printf '%s\\n' "$@" > "$NOTES/poetry"
printf '%s\\n' "$@" ";" >> "$NOTES/calls"
printf '%s' "${POETRY_DYNAMIC_VERSIONING_BYPASS:-}" > "$NOTES/version"
[ -z "${REGISTRY_AUTH_FILE:-}" ] || cp -R "${REGISTRY_AUTH_FILE%/*}" "$NOTES/private"
[ -z "${STOPS:-}" ] || kill "$PPID"
[ "$3" != "${FAILS:-nothing}" ] || exit 3
"""
LOGIN = """\
#!/bin/sh
printf '%s\\n' "$@" > "$NOTES/docker"
cat > "$NOTES/password"
"""
SEVERAL = ("api", "tidy", "worker")
"""The images of the golden case `images`."""
TEAM = "registry.example.com/team/image"
COMMON = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "GIT_CONFIG_GLOBAL": "/dev/null"}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Return a folder with fake programs that record how they were called."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in {
        "poetry": NOTE,
        "docker": LOGIN,
        "apk": "",
        "pipx": "",
        "python": "",
    }.items():
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text or "#!/bin/sh\n")
        program.chmod(0o755)
    return folder


def run(
    notes: Path, command: Sequence[str | Path], env: dict[str, str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Run a shell without this machine's environment."""
    path = f"{notes / 'bin'}:{COMMON['PATH']}"
    return subprocess.run(
        command,
        cwd=cwd,
        env={**COMMON, "NOTES": str(notes), "HOME": str(notes), **env, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def recorded_arguments(notes: Path) -> list[str]:
    """Return the recorded arguments of poetry, without `docker build`."""
    assert (notes / "poetry").exists(), "the build was not reached"
    words = (notes / "poetry").read_text().splitlines()
    assert words[:2] == ["docker", "build"]
    return words[2:]


@dataclass(frozen=True, kw_only=True)
class Push:
    """A push, and the expected tags and caches."""

    branch: str = ""
    tag: str = ""
    tags: list[str] = field(default_factory=list)
    cache: str | None = None
    reads: list[str] = field(default_factory=list)

    def words(self, image: str) -> list[str]:
        """Return the expected options for an image, sorted."""
        return sorted(
            [
                "--push",
                *(f"--tag={image}:{tag}" for tag in self.tags),
                *(f"--cache={image}:{self.cache}" for _ in [self.cache] if self.cache),
                *(f"--cache-from={image}:{cache}" for cache in self.reads),
            ]
        )

    def words_without_engine(self, image: str) -> list[str]:
        """Return the expected options: images have the layers that a cache would have."""
        cache = [f"--cache={image}:main"] * (self.branch != "main")
        return sorted(["--no-engine", "--push", *cache, *(f"--tag={image}:{t}" for t in self.tags)])


def hashed(text: str, name: str, kind: str = "branch") -> str:
    """Return the tag for a name that is not a tag."""
    return f"{text}-{hashlib.sha256(f'{kind} {name}'.encode()).hexdigest()[:8]}"


def changed(text: str, branch: str) -> Push:
    """Return the push of a branch whose name cannot be the tag."""
    tag = hashed(text, branch)
    return Push(branch=branch, tags=[tag], cache=f"buildcache-{tag}", reads=[MAIN])


MAIN = "buildcache-main"
ODD = "-.$(id)'\"`ö #1"
AB = hashed("a-b", "a/b")
PUSHES = {
    "default branch": Push(branch="main", tags=["main", "latest"], cache=MAIN),
    "branch": Push(branch="dev", tags=["dev"], cache="buildcache-dev", reads=[MAIN]),
    "slashes": changed("feature-log-in", "feature/log-in"),
    "invalid characters": changed("id-1", ODD),
    "only invalid characters": changed("branch", "привет"),
    "long name": changed("x" * 100, "x" * 200),
    "like the default branch": changed("main", "#main"),
    "like latest": changed("latest", "latest"),
    "like a cache": changed("buildcache-main", "buildcache-main"),
    "like a version": changed("1.2.3", "1.2.3"),
    "like a hash": changed(hashed("main", "#main"), hashed("main", "#main")),
    "version": Push(tag="v1.2.3", tags=["1.2.3", "1.2"], reads=[MAIN]),
    "pre-release": Push(tag="v2.0.0-rc.1", tags=["2.0.0-rc.1"], reads=[MAIN]),
    "pre-release of Python": Push(tag="v2.0.0rc1", tags=["2.0.0rc1"], reads=[MAIN]),
    "local version": Push(
        tag="v1.2.3+cpu", tags=[hashed("1.2.3-cpu", "1.2.3+cpu", "version")], reads=[MAIN]
    ),
    "short version": Push(tag="v7", tags=["7"], reads=[MAIN]),
    "long version": Push(tag="v1.2.3.4", tags=["1.2.3.4"], reads=[MAIN]),
    "date": Push(tag="v20261130", tags=["20261130"], reads=[MAIN]),
}


def join_options(words: list[str]) -> list[str]:
    """Join each option with its value, and sort."""
    assert "" not in words
    found: list[str] = []
    for word in words:
        if found and found[-1] in ("--tag", "--cache", "--cache-from", "--output"):
            found[-1] += f"={word}"
        else:
            found.append(word)
    return sorted(found)


@pytest.mark.parametrize("name", PUSHES)
def test_github_push(name: str, notes: Path) -> None:
    """The image has the repository's name, in lower case."""
    push = PUSHES[name]
    env = {"BRANCH": push.branch, "GIT_TAG": push.tag, "DEFAULT_BRANCH": "main"}
    step = scripts(golden("pep621_src", "github").read_text(), "github")[1]
    bash = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step]
    done = run(notes, bash, {**env, "GITHUB_REPOSITORY": "Acme/Price-API"}, notes)
    assert done.returncode == 0, done.stderr
    assert join_options(recorded_arguments(notes)) == push.words("ghcr.io/acme/price-api")


@pytest.mark.parametrize("name", PUSHES)
def test_gitlab_push(name: str, notes: Path) -> None:
    """CI_COMMIT_BRANCH or CI_COMMIT_TAG may be unset; the password is on no command line."""
    push = PUSHES[name]
    env = {"CI_DEFAULT_BRANCH": "main", "CI_REGISTRY_IMAGE": TEAM}
    env |= {"CI_COMMIT_BRANCH": push.branch} if push.branch else {"CI_COMMIT_TAG": push.tag}
    env |= {"CI_REGISTRY": "registry.example.com", "CI_REGISTRY_USER": "ci"}
    env |= {"CI_REGISTRY_PASSWORD": "s3cret $x"}
    job = scripts(golden("pep621_src", "gitlab").read_text(), "gitlab")[0]
    done = run(notes, ["sh", "-e", "-c", job], env, notes)
    assert done.returncode == 0, done.stderr
    assert join_options(recorded_arguments(notes)) == push.words(TEAM)
    login = (notes / "docker").read_text().split()
    assert login == ["login", "--username", "ci", "--password-stdin", "registry.example.com"]
    assert (notes / "password").read_text() == "s3cret $x"


@pytest.mark.parametrize("kind", CI_KINDS)
@pytest.mark.parametrize("source", ["schedule", "push"])
def test_scheduled_run_refreshes_each_image(kind: CiKind, source: str, notes: Path) -> None:
    """It pushes what a push to the branch does."""
    refresh = "yes" if source == "schedule" else ""
    done = run_several(kind, notes, CI_PIPELINE_SOURCE=source, REFRESH=refresh)
    assert done.returncode == 0, done.stderr
    calls = calls_by_image(notes)
    assert calls.keys() == {*SEVERAL}
    for words in calls.values():
        assert words.count("--refresh") == bool(refresh)
        assert words.count("--push") == 1


@pytest.mark.parametrize(
    ("kind", "env"),
    [
        ("github", {"GITHUB_HEAD_REF": "a/b", "GITHUB_BASE_REF": "main"}),
        (
            "gitlab",
            {
                "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "a/b",
                "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            },
        ),
    ],
)
def test_pull_request_only_reads_caches(kind: str, env: dict[str, str], notes: Path) -> None:
    """It reads its own branch's cache first, then that of the target branch."""
    assert kind in ("github", "gitlab")
    text = golden("every_setting", "github" if kind == "github" else "gitlab").read_text()
    script = scripts(text, "github" if kind == "github" else "gitlab")[-1]
    login = {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "x"}
    done = run(notes, ["bash", "-e", "-c", script], {**env, **login}, notes)
    assert done.returncode == 0, done.stderr
    image = "registry.example.com/team/everything"
    called = recorded_arguments(notes)
    assert called[0] == "--tag"
    assert called[2:] == [
        *("--cache-from", f"{image}:buildcache-{AB}", "--cache-from", f"{image}:{MAIN}"),
        *("--", "--output=type=cacheonly"),
    ]


def calls_by_image(notes: Path) -> dict[str, list[str]]:
    """Return the options of each call by image, joined and sorted."""
    calls = [text.split() for text in (notes / "calls").read_text().split(";\n") if text]
    assert all(words[:2] == ["docker", "build"] for words in calls)
    found = {
        words[2]: join_options([word for word in words[3:] if word != "--"]) for words in calls
    }
    assert len(found) == len(calls)
    return found


def run_several(
    kind: CiKind, notes: Path, *, case: str = "images", **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the script that pushes a project's images; the default is the default branch."""
    env = {"BRANCH": "main", "DEFAULT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
    env |= {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "s3cret", **more}
    checked_out = ("CI_COMMIT_BRANCH", "BRANCH") if env["BRANCH"] else ("CI_COMMIT_TAG", "GIT_TAG")
    env[checked_out[0]] = env[checked_out[1]]
    pushes = scripts(golden(case, kind).read_text(), kind)[1 if kind == "github" else 0]
    shell = ["bash", "-o", "pipefail"] if kind == "github" else ["sh"]
    if kind == "shell":
        put(notes, case)
        return run(notes, [notes / "docker-build.sh"], env, notes)
    return run(notes, [*shell, "-e", "-c", pushes], env, notes)


@pytest.mark.parametrize("kind", CI_KINDS)
@pytest.mark.parametrize("name", ["default branch", "slashes", "version"])
def test_push_of_several_images(kind: CiKind, name: str, notes: Path) -> None:
    """Each image is named, tagged and cached as if it were the only one."""
    push = PUSHES[name]
    done = run_several(kind, notes, BRANCH=push.branch, GIT_TAG=push.tag)
    assert done.returncode == 0, done.stderr
    team = "registry.example.com/team"
    assert calls_by_image(notes) == {
        "api": push.words(f"{team}/shop-api"),
        "tidy": push.words(f"{team}/tidy"),
        "worker": push.words(f"{team}/shop-worker"),
    }
    if kind != "github":
        assert (notes / "docker").read_text().split()[-1] == "registry.example.com"


@pytest.mark.parametrize("kind", CI_KINDS)
def test_first_failed_image_stops_the_script(kind: CiKind, notes: Path) -> None:
    """The status is that of the failed build, and no image is built after it."""
    assert run_several(kind, notes, FAILS="tidy").returncode == 3
    assert [*calls_by_image(notes)] == ["api", "tidy"]


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_pull_request_reads_caches_of_several_images(kind: CiKind, notes: Path) -> None:
    """It writes no cache."""
    script = scripts(golden("images", kind).read_text(), kind)[-1]
    ends = ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    names = ("GITHUB_HEAD_REF", "GITHUB_BASE_REF") if kind == "github" else ends
    env = dict(zip(names, ("a/b", "main"), strict=True))
    login = {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "x"}
    done = run(notes, ["bash", "-e", "-c", script], {**env, **login}, notes)
    assert done.returncode == 0, done.stderr
    found = calls_by_image(notes)
    assert [*found] == [*SEVERAL]
    image = "registry.example.com/team/shop-worker"
    tag = "pull-request" if kind == "github" else "merge-request"
    assert found["worker"] == [
        *(f"--cache-from={image}:buildcache-{branch}" for branch in (AB, "main")),
        *("--output=type=cacheonly", f"--tag={image}:{tag}"),
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a git repository on its branch main, with the script."""
    folder = tmp_path / "check out"
    folder.mkdir()
    put(folder, "pep621_src")
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=x")
    return folder


def put(folder: Path, name: str) -> None:
    """Put a project's script into a folder."""
    shutil.copy(golden(name, "shell"), folder)
    (folder / "docker-build.sh").chmod(0o755)


def git(folder: Path, *arguments: str) -> None:
    """Run git with a fixed author."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def call(
    notes: Path, checkout: Path, *arguments: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run the script from another folder."""
    script = checkout / "docker-build.sh"
    return run(notes, [script, *arguments], {"IMAGE": TEAM, **env}, notes)


@pytest.mark.parametrize("name", PUSHES)
def test_script_uses_variables(name: str, notes: Path, checkout: Path) -> None:
    """They take precedence over git; a registry's password is not an argument."""
    push = PUSHES[name]
    env = {"BRANCH": push.branch, "GIT_TAG": push.tag, "DEFAULT_BRANCH": "main"}
    done = call(notes, checkout, REGISTRY_USER="ci", REGISTRY_PASSWORD="s3cret", **env)
    assert done.returncode == 0, done.stderr
    assert join_options([word for word in recorded_arguments(notes) if word != "--"]) == push.words(
        TEAM
    )
    login = (notes / "docker").read_text().split()
    assert login == ["login", "--username", "ci", "--password-stdin", "registry.example.com"]
    assert (notes / "password").read_text() == "s3cret"


def test_script_asks_git(notes: Path, checkout: Path) -> None:
    """It uses the current branch, or the version tag of a detached commit, or fails."""
    assert call(notes, checkout).returncode == 0
    assert f"{TEAM}:latest" in recorded_arguments(notes)
    git(checkout, "switch", "--quiet", "--create", "feature/x")
    assert call(notes, checkout, "--network=host", "a b").returncode == 0
    tag = hashed("feature-x", "feature/x")
    assert recorded_arguments(notes) == [
        *("--push", "--cache", f"{TEAM}:buildcache-{tag}", "--cache-from", f"{TEAM}:{MAIN}"),
        *("--tag", f"{TEAM}:{tag}", "--", "--network=host", "a b"),
    ]
    git(checkout, "tag", "v1.2.3")
    git(checkout, "checkout", "--quiet", "--detach")
    assert call(notes, checkout).returncode == 0
    assert [word for word in recorded_arguments(notes) if ":1.2" in word] == [
        f"{TEAM}:1.2",
        f"{TEAM}:1.2.3",
    ]
    assert not (notes / "docker").exists()
    git(checkout, "commit", "--quiet", "--allow-empty", "--message=y")
    done = call(notes, checkout)
    assert done.returncode == 1
    assert "Set BRANCH or GIT_TAG" in done.stderr
    done = call(notes, checkout, BRANCH="x", IMAGE="")
    assert done.returncode != 0
    assert "IMAGE: set it to the name of the image" in done.stderr


def test_tags_of_all_pushes_differ() -> None:
    """No branch and no version has the tag or the cache of another one."""
    names = [name for push in PUSHES.values() for name in (*push.tags, push.cache) if name]
    assert len(names) == len(set(names))


def test_script_without_push(notes: Path, checkout: Path) -> None:
    """PUSH=no writes neither an image nor a cache."""
    assert call(notes, checkout, BRANCH="a/b", PUSH="no").returncode == 0
    assert recorded_arguments(notes) == [
        *("--cache-from", f"{TEAM}:buildcache-{AB}", "--cache-from", f"{TEAM}:{MAIN}"),
        *("--tag", f"{TEAM}:{AB}", "--"),
    ]


def test_script_knows_default_branch_of_remote(notes: Path, checkout: Path, tmp_path: Path) -> None:
    """A clone knows the default branch of its remote."""
    git(checkout, "branch", "--move", "trunk")
    git(checkout, "add", "docker-build.sh")
    git(checkout, "commit", "--quiet", "--message=x")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(checkout), str(clone))
    assert call(notes, clone).returncode == 0
    assert f"{TEAM}:latest" in recorded_arguments(notes)


def test_script_for_several_images(notes: Path, checkout: Path) -> None:
    """IMAGE is their common prefix; an image with its own name keeps it. PUSH=no only reads."""
    put(checkout, "images")
    assert call(notes, checkout, "--network=host", BRANCH="x", PUSH="no").returncode == 0
    found = calls_by_image(notes)
    assert [*found] == [*SEVERAL]
    for name, image in (("api", f"{TEAM}-api"), ("tidy", "registry.example.com/team/tidy")):
        assert found[name] == [
            *(f"--cache-from={image}:buildcache-{branch}" for branch in ("main", "x")),
            *("--network=host", f"--tag={image}:x"),
        ]


@pytest.mark.parametrize("case", ["git_version", "no_engine_git_version"])
@pytest.mark.parametrize("kind", CI_KINDS)
def test_version_from_git_is_in_the_variable_of_the_backend(
    case: str, kind: CiKind, notes: Path
) -> None:
    """A version tag sets it; a branch does not."""
    names = {"IMAGE": TEAM, "CI_REGISTRY_IMAGE": TEAM, "GITHUB_REPOSITORY": "acme/tagged"}
    for branch, tag, version in (("", "v1.2.3", "1.2.3"), ("main", "", "")):
        done = run_several(kind, notes, case=case, BRANCH=branch, GIT_TAG=tag, **names)
        assert done.returncode == 0, done.stderr
        assert (notes / "version").read_text() == version


@pytest.mark.parametrize("kind", CI_KINDS)
@pytest.mark.parametrize("name", ["default branch", "slashes", "version", "pre-release"])
def test_push_without_engine(kind: CiKind, name: str, notes: Path) -> None:
    """The tags are the same; other builds look for layers in the default branch's image."""
    push = PUSHES[name]
    done = run_several(
        kind, notes, case="no_engine_images", BRANCH=push.branch, GIT_TAG=push.tag, REFRESH="yes"
    )
    assert done.returncode == 0, done.stderr
    team = "registry.example.com/team"
    assert calls_by_image(notes) == {
        "api": push.words_without_engine(f"{team}/shop-api"),
        "tidy": push.words_without_engine(f"{team}/tidy"),
        "worker": push.words_without_engine(f"{team}/shop-worker"),
    }
    assert not (notes / "docker").exists()


@pytest.mark.parametrize("kind", CI_KINDS)
def test_pull_request_without_engine_pushes_nothing(kind: CiKind, notes: Path) -> None:
    """It writes an archive, which is removed."""
    script = scripts(golden("no_engine_images", kind).read_text(), kind)[-1]
    env = {"GITHUB_HEAD_REF": "a/b", "GITHUB_BASE_REF": "main", "TMPDIR": str(notes)}
    env |= {"BRANCH": "a/b", "DEFAULT_BRANCH": "main", "PUSH": "no"}
    env |= {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "a/b"}
    env |= {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    done = run(notes, ["bash", "-e", "-c", script, notes / "x"], env, notes)
    assert done.returncode == 0, done.stderr
    image = "registry.example.com/team/shop-worker"
    cache, engine, output, tag = calls_by_image(notes)["worker"]
    assert (cache, engine) == (f"--cache={image}:main", "--no-engine")
    assert tag == f"--tag={image}:{AB}"
    archive = Path(output.removeprefix("--output="))
    assert archive.name == "image.tar"
    assert archive.parent.parent == notes
    assert not archive.parent.exists()


SECRET = 's3cret $x "%s" \'ü\\' + "long" * 50


@pytest.mark.parametrize("kind", CI_KINDS)
def test_login_without_docker(kind: CiKind, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any password arrives; the file is private, and removed after the build."""
    (notes / "tmp").mkdir()
    login = {"REGISTRY_USER": "robot$ci+x", "REGISTRY_PASSWORD": SECRET}
    done = run_several(
        kind, notes, case="no_engine_images", FAILS="api", TMPDIR=str(notes / "tmp"), **login
    )
    assert done.returncode == 3
    assert [*(notes / "tmp").iterdir()] == []
    assert (notes / "private").stat().st_mode & 0o777 == 0o700
    for name in ("DOCKER_AUTH_CONFIG", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(notes / "private" / "config.json"))
    found = Logins("registry.example.com").find("team/tidy")
    assert (found.username, found.password) == ("robot$ci+x", SECRET)


def test_login_in_the_registry_of_gitlab(notes: Path) -> None:
    """Without other variables, it is the project's own; without a password, there is no login."""
    own = {"CI_REGISTRY": "gitlab.test:5050", "CI_REGISTRY_USER": "ci", "CI_REGISTRY_IMAGE": TEAM}
    for password, is_login in (("", False), ("s3cret", True)):
        own["CI_REGISTRY_PASSWORD"] = password
        done = run_several("gitlab", notes, case="no_engine_git_version", **own)
        assert done.returncode == 0, done.stderr
        assert (notes / "private").exists() == is_login
    auths = json.loads((notes / "private" / "config.json").read_text())["auths"]
    assert auths == {"gitlab.test:5050": {"auth": base64.b64encode(b"ci:s3cret").decode()}}


def test_stopped_script_removes_its_login(notes: Path) -> None:
    """A signal ends the script after the build, which gets the signal from the CI, too."""
    (notes / "tmp").mkdir()
    env = {"IMAGE": TEAM, "TMPDIR": str(notes / "tmp"), "STOPS": "yes"}
    done = run_several("shell", notes, case="no_engine_git_version", **env)
    assert done.returncode == 1
    assert (notes / "private").exists()
    assert [*(notes / "tmp").iterdir()] == []


COSIGN = """\
#!/bin/sh
printf '%s\\n' "$*" "${DOCKER_CONFIG-}" >> "$NOTES/signed"
"""
JQ = """\
#!/bin/sh
for file; do :; done
sed 's/.*"containerimage.digest": "\\([^"]*\\)".*/\\1/' "$file"
"""
WRITES_METADATA = """
while [ "$1" != --metadata-file ]; do shift; done
printf '{"containerimage.digest": "sha256:%s"}' "$(printf '%s' "$@" | wc -c)" > "$2"
"""


@pytest.mark.parametrize("case", ["signed_pep621_src", "signed_no_engine_images"])
def test_each_pushed_image_is_signed_by_its_digest(case: str, notes: Path) -> None:
    """Not by a tag, which may move; a build that fails is not signed."""
    for name, text in {"cosign": COSIGN, "jq": JQ, "poetry": NOTE + WRITES_METADATA}.items():
        (notes / "bin" / name).write_text(text)
        (notes / "bin" / name).chmod(0o755)
    (notes / "tmp").mkdir()
    env = {"RUNNER_TEMP": str(notes / "tmp"), "REGISTRY_PASSWORD": "s3cret"}
    done = run_several("github", notes, case=case, **env)
    assert done.returncode == 0, done.stderr
    lines = (notes / "signed").read_text().splitlines()
    signed, logins = lines[::2], lines[1::2]
    is_several = case.endswith("images")
    assert len(signed) == (len(SEVERAL) if is_several else 1)
    assert all(re.fullmatch(r"sign --yes \S+@sha256:\d+", line) for line in signed)
    assert all(bool(login) == is_several for login in logins)  # else from docker/login-action
    (notes / "signed").unlink()
    done = run_several("github", notes, case="signed_no_engine_images", FAILS="api", **env)
    assert done.returncode == 3
    assert not (notes / "signed").exists()
