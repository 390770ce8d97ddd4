"""The commands of RUN instructions: what each of them means for the new image."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from poetry_docker_cache.migrate.application_steps import read_application_step
from poetry_docker_cache.migrate.outcomes import Outcome, left_over, setting, unneeded
from poetry_docker_cache.migrate.shell import (
    ShellCommand,
    default_branch,
    inner_commands,
    split_commands,
    split_words,
)
from poetry_docker_cache.migrate.system_tools import is_init, package_names, why_not_needed
from poetry_docker_cache.project.selection import DEVELOPMENT, MAIN_GROUP

if TYPE_CHECKING:
    from poetry_docker_cache.migrate.stage_state import StageState

_INSTALLS = "the build installs the packages of poetry.lock itself"
_CLEANS = "the build leaves no caches and lists behind"
_SHOWS = "it changes nothing in the image"
_USER = "the image has its own user"
_SYSTEM = "the build updates the package lists itself"
_INSTALLERS = re.compile(
    r"install\.python-poetry\.org|get-poetry|install-poetry|sdispater/poetry|python-poetry"
    r"|bootstrap\.pypa\.io|get-pip|astral\.sh/uv|sh\.rustup\.rs|(?:deb|rpm)\.nodesource\.com"
)
_NOTHING = {
    *("[", ":", "cat", "date", "df", "du", "echo", "env", "false", "hash", "id", "ls", "printenv"),
    *("printf", "pwd", "set", "sleep", "test", "true", "tree", "type", "uname", "which", "whoami"),
    *("export", "unset", "source", ".", "history", "wait", "alias", "sync", "arch", "command"),
}
_CLEANING = {"rm", "apt-mark", "rmdir"}
_OF_THE_SYSTEM = {
    *("locale-gen", "update-locale", "dpkg-reconfigure", "fc-cache", "update-ca-certificates"),
    *("ldconfig", "setcap", "update-alternatives", "localedef", "c_rehash", "a2enmod"),
}
_TOOLS = {
    *("poetry", "pip", "setuptools", "wheel", "virtualenv", "uv", "pipx", "pdm", "pipenv", "build"),
    *("poetry-core", "poetry-plugin-export", "poetry-plugin-bundle", "cython", "hatch", "twine"),
    *("poetry-dynamic-versioning", "crashtest", "cleo", "poetry-plugin-sort", "certifi"),
    *("keyring", "keyrings-google-artifactregistry-auth", "poetry-plugin-up", "importlib-metadata"),
}
_BY_POETRY = re.compile(
    r"(?:yes\s*\|\s*)?(?:python3?\s+-m\s+)?(?:poetry\s+check\b.*|poetry\s+(?:export|cache|config|self)\b|pip3?\s+freeze\b"
    r"|poetry\s+run\s+pip\s+freeze\b)[^&;]*$"
)
_OF_WHEELS = re.compile(r"\b(?:find|mv|cp|ls)\b.*\.whl\b")
_NODE = ("npm", "yarn", "pnpm", "bun", "npx", "corepack")


def read_command(command: ShellCommand, state: StageState) -> Outcome:
    """Translate one command of a RUN."""
    if not command.words:
        return _read_compound(command, state)
    words = tuple(state.expand(word) for word in command.words)
    program = posixpath.basename(words[0])
    if re.fullmatch(r"python[\d.]*", program):
        return _read_python(words, command, state)
    if program == "poetry":
        return _read_poetry(words, command, state)
    if re.fullmatch(r"pip[\d.]*", program):
        return _read_pip(words, state)
    for names, read in (
        (("apt", "apt-get", "aptitude", "apk"), _read_packages),
        (("useradd", "adduser", "usermod", "groupadd", "addgroup", "groupmod"), _read_user),
        (("mkdir", "install"), _read_mkdir),
        (("chown", "chgrp"), _read_chown),
        (("chmod",), _read_chmod),
        (("touch",), _read_touch),
        (("cd", "pushd"), _read_cd),
        (("ln", "sed"), _read_root_command),
        (tuple(_OF_THE_SYSTEM), _read_root_command),
    ):
        if program in names:
            return read(words, state)
    if program in ("yum", "dnf", "microdnf"):
        return left_over(
            "These are packages of Red Hat. Find their Debian names, and add those that the"
            " application needs at run time to `runtime-packages`."
        )
    if program in _NOTHING or (len(words) == 2 and words[1] in ("--version", "-V", "version")):  # noqa: PLR2004  # PROGRAM --version
        return unneeded(_SHOWS)
    if program in _CLEANING or (program == "find" and {"-delete", "rm"} & {*words}):
        return unneeded(_CLEANS)
    if program == "git" and words[1:2] == ("config",):
        return unneeded("the old build only uses git")
    if program == "find" and "chmod" in words:
        return _read_chmod(("chmod", "+x", "."), state)
    if program in ("su", "runuser", "gosu") and (inner := _inner_of(words)):
        return _all_of([part for _, part in split_commands(inner)], command, state)
    if program in ("pipx", "uv", "uvx", "virtualenv", "pdm", "pipenv", "yes"):
        return unneeded(_INSTALLS)
    if program in _NODE:
        return _read_node(words, state)
    if program in ("curl", "wget"):
        return _read_download(" ".join(words))
    return read_application_step(command, words, state)


def _inner_of(words: tuple[str, ...]) -> str:
    """Return the command of `su NAME -c COMMAND`."""
    if "-c" in words[:-1]:
        return words[words.index("-c") + 1]
    return " ".join(words[2:]) if words[0] == "gosu" else ""


def _all_of(parts: list[str], command: ShellCommand, state: StageState) -> Outcome:
    """Translate several commands as one: they need no setting, or are left over as a whole."""
    limited = re.compile(r"poetry\b.*\binstall\b.*--(?:only|without|no-dev)\b")
    if any(limited.search(part) for part in parts):  # the other branch is for development
        parts = [part for part in parts if limited.search(part) or "install" not in part]
    found = [
        read_command(
            ShellCommand(line=command.line, text=part, words=tuple(split_words(part))), state
        )
        for part in parts
        if split_words(part)
    ]
    needing = [outcome for outcome in found if not outcome.reason]
    if found and len(found) == len(parts) and len(needing) <= 1:
        return needing[0] if needing else found[0]
    return left_over(_OTHER)


def _read_compound(command: ShellCommand, state: StageState) -> Outcome:
    """Translate a pipe, a condition or a redirection."""
    text = command.text
    if _INSTALLERS.search(text) or _BY_POETRY.match(text):
        return unneeded(_INSTALLS)
    if not state.is_final and _OF_WHEELS.search(text):
        return unneeded("the build makes and installs the wheels itself")
    given = [name for name, default in state.arguments.items() if default is not None]
    defaults = {name: state.values[name] for name in given if name in state.values}
    if branch := default_branch(text, defaults):
        argument, body = branch
        parts = [part for _, part in split_commands(body)]
        return (
            _all_of(parts, command, state)
            if parts
            else unneeded(f"it does not run with the default of the build argument {argument}")
        )
    alternative = re.match(r"(.*?)\s*\|\|\s*(?:true|:|echo\b.*|exit 0)$", text)
    simple = alternative and split_words(alternative[1])
    if alternative and simple:
        return read_command(
            ShellCommand(line=command.line, text=alternative[1], words=tuple(simple)), state
        )
    inner = inner_commands(text)
    if inner:
        outcome = _all_of(inner, command, state)
        if not outcome.advice:
            return outcome
    if match := re.match(r"(?:echo|printf)\b.*?>{1,2}\s*(\S+)\s*$", text):
        place = state.place(match[1].strip("\"'"))
        state.has_vendor = state.has_vendor or place.startswith("/etc/apt")
        if place.startswith("/etc/apt") or "$" in match[1]:
            return left_over(_VENDOR if place.startswith("/etc/apt") else _OTHER)
        if place.startswith("/etc/") and "$" not in state.expand(text):
            return _root_line(text, state)
        if posixpath.basename(place) in ("README.md", "README.rst", "README", "__init__.py"):
            return unneeded("the build needs no placeholder files")
        return left_over(
            "Write the file into the project, and add it to `files` or `copy`. If its content"
            " comes from a build argument, `build-args` can write it: see `file`."
        )
    if re.search(r"apt-key|gpg\b|keyrings|sources\.list", text):
        state.has_vendor = True
        return left_over(_VENDOR)
    if re.search(r"\b(?:curl|wget)\b", text):
        return _read_download(text)
    return left_over(_OTHER)


_OTHER = (
    "If the image needs this, add the line to `instructions.runtime` (as root, before your code is"
    " copied), or make it a step of `run` if it needs the application."
)
_VENDOR = (
    "This adds a vendor's package repository. Add the RUN lines that add the repository and"
    " install its packages to `instructions.runtime`."
)


def _read_python(words: tuple[str, ...], command: ShellCommand, state: StageState) -> Outcome:
    rest = words[1:]
    while rest[:1] and rest[0] in ("-u", "-O", "-B", "-I", "-E", "-W"):
        rest = rest[1:]
    if rest[:1] in (("-V",), ("--version",)):
        return unneeded(_SHOWS)
    if rest[:1] == ("-m",) and len(rest) > 1:
        module = rest[1]
        if module == "pip":
            return _read_pip(rest[1:], state)
        if module in ("venv", "virtualenv", "ensurepip", "pipx", "uv"):
            return unneeded(_INSTALLS)
        if module == "poetry":
            return _read_poetry(rest[1:], command, state)
        if module == "compileall":
            return setting("compile", value=True)
    if rest[:1] and posixpath.basename(rest[0]) in (
        "get-poetry.py",
        "install-poetry.py",
        "get-pip.py",
    ):
        return unneeded(_INSTALLS)
    return read_application_step(command, words, state)


def _read_poetry(words: tuple[str, ...], command: ShellCommand, state: StageState) -> Outcome:
    options = [word for word in words[1:] if word.startswith("-")]
    verbs = [word for word in words[1:] if not word.startswith("-")]
    verb = verbs[0] if verbs else ""
    if verb == "run":
        rest = words[words.index("run") + 1 :]
        inner = ShellCommand(
            line=command.line, text=command.text, words=rest, environment=command.environment
        )
        return read_command(inner, state) if rest else unneeded(_SHOWS)
    if verb == "add" and all(_is_locked(name, state) for name in verbs[1:]):
        return unneeded(_INSTALLS)
    if verb == "add":
        return left_over(
            "Run this command in the project instead, so that poetry.lock has the packages."
        )
    if verb in ("install", "sync", "export") and options:
        return _selection(words, state)
    if verb == "install":
        return _selection(words, state)
    return unneeded(_INSTALLS)


def _selection(words: tuple[str, ...], state: StageState) -> Outcome:
    """Read the groups and extras of `poetry install`; groups for development are left out."""
    options = _values_of(words)
    project = state.around.project
    named = {group for key in ("with", "only") for group in _split(options.get(key, []))}
    without = {*_split(options.get("without", []))}
    if "$" in "".join((*named, *without, *options.get("extras", []))):
        return left_over(
            "The groups or extras come from a variable. Set `groups` and `extras` to what the"
            " production image installs."
        )
    everything = "all-groups" in options
    default = set() if options.get("only") else {*project.default_groups, MAIN_GROUP}
    groups = ({*project.groups} if everything else default | named) - without
    groups = {str(canonicalize_name(group)) for group in groups if group} - DEVELOPMENT
    known = {str(canonicalize_name(group)) for group in project.groups} | {MAIN_GROUP}
    if "no-dev" in options:
        groups &= {MAIN_GROUP, *named}
    groups &= known
    settings: list[tuple[str, object]] = []
    if (others := sorted(groups - {MAIN_GROUP})) and words[1:2] != ("export",):
        settings.append(("groups", [*[MAIN_GROUP] * (MAIN_GROUP in groups), *others]))
    extras = [extra for value in options.get("extras", []) for extra in re.split(r"[\s,]+", value)]
    if "all-extras" in options and project.extras:
        settings.append(("extras", "all"))
    elif wanted := [extra for extra in extras if extra in project.extras]:
        settings.append(("extras", wanted))
    return Outcome(settings=tuple(settings)) if settings else unneeded(_INSTALLS)


def _split(values: list[str]) -> list[str]:
    return [name.strip() for value in values for name in value.split(",") if name.strip()]


def _values_of(words: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the values of long options; an option without a value has an empty list."""
    short = {"-E": "extras"}
    taking = {"with", "without", "only", "extras"}
    found: dict[str, list[str]] = {}
    name = ""
    for word in words[1:]:
        if word.startswith("--") or word[:2] in short:
            key, equals, value = word.removeprefix("--").partition("=")
            if word[:2] in short:
                key, equals, value = short[word[:2]], word[2:], word[2:].lstrip("=")
            found.setdefault(key, []).extend([value] if equals else [])
            name = key if key in taking and not equals else ""
        elif name:
            found[name].append(word)
            name = ""
    return found


def _read_pip(words: tuple[str, ...], state: StageState) -> Outcome:
    rest = [word for word in words[1:] if not word.startswith("-")]
    if rest[:1] != ["install"]:
        return unneeded(_INSTALLS)
    files = {"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-t", "--target"}
    files |= {"-i", "--index-url", "--extra-index-url", "--prefix", "--find-links", "-f"}
    files |= {"--trusted-host", "--python", "--timeout", "--retries", "--default-timeout"}
    named, skip = [], False
    for word in words[2:]:
        if skip or word.startswith("-"):
            skip = word in files
        elif word != "install":
            named.append(word)
    unlocked = [word for word in named if not _is_locked(word, state)]
    if not unlocked:
        return unneeded(_INSTALLS)
    return left_over(
        f"pip installs {', '.join(unlocked)} beside the lock file. Run `poetry add"
        f" {' '.join(unlocked)}`, so that the versions are locked."
    )


def _is_locked(word: str, state: StageState) -> bool:
    """Whether a requirement is a tool of the build, the project itself or a locked package."""
    if word.startswith((".", "/", "$")) or word.endswith((".whl", ".txt")) or "/" in word:
        return not word.startswith(("git+", "http"))
    try:
        name = canonicalize_name(Requirement(word).name)
    except InvalidRequirement:
        name = canonicalize_name(re.split(r"[=<>~!\[ $;@]", word)[0])
    own = canonicalize_name(state.around.project.metadata.name or "")
    return name in _TOOLS or name in state.around.installed or name == own


def _read_packages(words: tuple[str, ...], state: StageState) -> Outcome:
    verbs = [word for word in words[1:] if not word.startswith("-")]
    verb = verbs[0] if verbs else ""
    if verb in ("clean", "autoclean", "autoremove", "purge", "remove", "del"):
        return unneeded(_CLEANS)
    if verb not in ("install", "add"):
        return unneeded(_SYSTEM)
    names = [state.expand(name) for name in package_names(words[1:])]
    names = [part for name in names for part in name.split()]
    if any("$" in name for name in names):
        return left_over("Add the packages that the image needs to `runtime-packages`.")
    if "--virtual" in words or any(word.startswith((".", "--virtual=")) for word in words[1:]):
        return unneeded("packages for the build only")
    if not state.is_final:
        return unneeded("packages for a build stage: `build-image` has the usual ones")
    installed = state.around.installed
    reasons = {name: why_not_needed(name, used=state.used, installed=installed) for name in names}
    kept = [re.split("[=<>~]", name)[0] for name, reason in reasons.items() if not reason]
    if kept and state.has_vendor:
        return left_over(
            f"{', '.join(kept)}: add what Debian has to `runtime-packages`, and install what comes"
            " from the vendor's repository in `instructions.runtime`."
        )
    if any(is_init(name) for name in names):
        state.made.setdefault("init", "")
    if kept:
        return setting("runtime-packages", kept)
    return unneeded(next((reason for reason in reasons.values() if reason), _SYSTEM))


def _read_user(words: tuple[str, ...], state: StageState) -> Outcome:
    program = posixpath.basename(words[0])
    options: dict[str, str] = {}
    names: list[str] = []
    name = ""
    taking = {"-u", "--uid", "-g", "--gid", "-G", "--groups", "--ingroup", "-s", "--shell", "-d"}
    taking |= {"--home", "--home-dir", "-h", "-c", "--comment", "--gecos", "-k", "-p", "-K", "-e"}
    taking |= {"--password", "-b", "--base-dir", "--skel", "-f"}
    if program in ("adduser", "addgroup") and "-S" in words:
        taking -= {"-d"}
    for word in words[1:]:
        if name:
            options[name] = word
            name = ""
        elif word.startswith("-"):
            key, equals, value = word.partition("=")
            bundle = f"-{word[-1]}" if re.fullmatch(r"-[a-zA-Z]{2,}", word) else word
            if equals:
                options[key] = value
            elif word in taking or (bundle in taking and bundle in ("-u", "-g", "-s", "-d")):
                name = bundle if word not in taking else word
        else:
            names.append(word)
    uid = options.get("-u", options.get("--uid", ""))
    gid = options.get("-g", options.get("--gid", ""))
    if not names:
        return unneeded(_USER)
    if program in ("groupadd", "addgroup", "groupmod"):
        state.group_ids[names[-1] if program != "addgroup" else names[0]] = (
            gid if gid.isdecimal() else ""
        )
        return unneeded(_USER)
    who = names[0] if program in ("adduser", "usermod") else names[-1]
    group = gid if gid.isdecimal() else state.group_ids.get(gid, "")
    if program != "usermod" or uid:
        state.users[who] = f"{uid}:{group or uid}" if uid.isdecimal() else ""
    return unneeded(_USER)


def _read_mkdir(words: tuple[str, ...], state: StageState) -> Outcome:
    if posixpath.basename(words[0]) == "install" and "-d" not in words:
        return left_over("Add the file to `copy`, with its `owner` and `mode`.")
    mode, skip = "", ""
    places: list[str] = []
    for word in words[1:]:
        if skip:
            mode = word if skip in ("-m", "--mode") else mode
            skip = ""
        elif word in ("-m", "--mode", "-o", "-g"):
            skip = word
        elif word.startswith("--mode="):
            mode = word.partition("=")[2]
        elif not word.startswith("-"):
            places += _braces(word)
    if any("$" in state.expand(place) for place in places):
        return left_over("Add the folder to `directories`, if the application writes to it.")
    return _directories([state.place(place) for place in places], mode, state)


def _braces(word: str) -> list[str]:
    match = re.fullmatch(r"(.*)\{([^{}]*,[^{}]*)\}(.*)", word)
    return [f"{match[1]}{part}{match[3]}" for part in match[2].split(",")] if match else [word]


def _directories(places: list[str], mode: str, state: StageState) -> Outcome:
    """Return the setting for folders that the application may write to."""
    wanted = [place for place in places if not state.is_tool_folder(place)]
    if not wanted or not state.is_final:
        return unneeded("the image has this folder, or needs it only to build")
    state.made.update(dict.fromkeys(wanted, mode))
    plain = re.fullmatch(r"0?[0-7]{3,4}", mode)
    return setting(
        "directories",
        [
            {"path": state.inner(place), "mode": mode.zfill(4)} if plain else state.inner(place)
            for place in wanted
        ],
    )


def _read_chown(words: tuple[str, ...], state: StageState) -> Outcome:
    places = [word for word in words[1:] if not word.startswith("-")][1:]
    places = [state.place(place) for place in places if "$" not in state.expand(place)]
    code = [
        place
        for place in places
        if any(place == to or place.startswith(f"{to}/") for to in state.copied)
        or state.is_tool_folder(place)
    ]
    others = [place for place in places if place not in code and place not in state.made]
    if others and not any(set(place) & set("*?[") for place in others):
        return _directories(others, "", state)
    return unneeded(
        "folders in `directories` belong to the image's user; the code belongs to root, so that"
        " the application cannot change it"
    )


def _read_chmod(words: tuple[str, ...], state: StageState) -> Outcome:
    plain = [
        word for word in words[1:] if not re.fullmatch(r"-[A-Za-z]+|--.*", word) or "=" in word
    ]
    if len(plain) < 2:  # noqa: PLR2004  # a mode and a path
        return unneeded(_SHOWS)
    mode, *names = plain
    places = [state.place(name) for name in names]
    made = [place for place in places if place in state.made]
    if made and re.fullmatch(r"0?[0-7]{3}", mode):
        return setting(
            "directories", [{"path": state.inner(place), "mode": mode.zfill(4)} for place in made]
        )
    if "x" in mode or re.fullmatch(r"[0-7]*[1357][0-7]*", mode):
        return unneeded(
            "a script is started through its interpreter, and a copied program gets its `mode`"
        )
    return unneeded("everyone can read the files of the image")


def _read_touch(words: tuple[str, ...], state: StageState) -> Outcome:
    places = [state.place(word) for word in words[1:] if not word.startswith("-")]
    placeholder = ("README", "__init__.py", "pyproject.toml", "py.typed", "LICENSE")
    if not state.is_final or all(
        posixpath.basename(place).startswith(placeholder) for place in places
    ):
        return unneeded("the build needs no placeholder files")
    return left_over(
        "Add the file's folder to `directories`: the application can create the file there."
    )


def _read_cd(words: tuple[str, ...], state: StageState) -> Outcome:
    state.folder = state.place(words[1]) if len(words) > 1 else state.folder
    return unneeded(_SHOWS)


def _read_root_command(words: tuple[str, ...], state: StageState) -> Outcome:
    program, rest = posixpath.basename(words[0]), words[1:]
    if program == "update-alternatives" and re.search(r"\b(?:python|pip)", " ".join(rest)):
        return unneeded("the image has `python` on its PATH")
    if program == "ln":
        ends = [word for word in rest if not word.startswith("-")]
        if any("python" in posixpath.basename(word) or "poetry" in word for word in ends):
            return unneeded("the image has `python` on its PATH")
        if len(ends) != 2 or not all(word.startswith("/") for word in ends):  # noqa: PLR2004  # target and link
            return left_over(_OTHER)
        if any(f"{word}/".startswith(f"{state.home}/") for word in ends):
            return left_over(
                "Add the link to the project, or write the new place into the configuration."
            )
    if program == "sed":
        paths = [word for word in rest if word.startswith("/")]
        if not paths or not all(word.startswith("/etc/") for word in paths):
            return left_over("Change the file in the project instead.")
        if any(word.startswith("/etc/apt") for word in paths):
            return left_over(
                "To use another mirror, set `base-image` to an image with your sources, or add"
                " this line to `instructions.runtime`."
            )
    if not state.is_final:
        return unneeded("a step of a build stage")
    return _root_line(shell_line(words), state)


def _root_line(text: str, state: StageState) -> Outcome:
    line = state.expand(" ".join(text.split()))
    if re.search(r"\$[A-Za-z_{]", line):
        return left_over(_OTHER)
    return setting("instructions", {"runtime": [f"RUN {line}"]})


def shell_line(words: tuple[str, ...]) -> str:
    """Join words for a shell, and quote only what needs it."""
    return " ".join(
        word
        if re.fullmatch(r"[\w@%+=:,./*?~-]+", word)
        else json.dumps(word, ensure_ascii=False)
        if "'" in word
        else f"'{word}'"
        for word in words
    )


def _read_node(words: tuple[str, ...], state: StageState) -> Outcome:
    if state.around.is_file("package.json") and {"build", "generate", "prod"} & {
        part for word in words[1:] for part in word.split(":")
    }:
        verbs = [word for word in words[1:] if not word.startswith("-")]
        return left_over(
            'Build the front end in its own stage: `assets = { folder = ".", build ='
            f' {json.dumps([words[0], *verbs])}, output = "…", to = "…" }}`, with the folder that'
            " the build writes and its place in the image."
        )
    is_global = any(word in ("-g", "--global", "global") for word in words)
    installs = words[0] == "corepack" or words[1:2] in (("ci",), ("install",), ("i",), ())
    if installs and not is_global:
        return unneeded("`assets` installs the packages of a front end from its lock file")
    if is_global:
        return left_over(
            "If the application needs this program, copy it from an image that has it: `copy = ["
            '{ image = "…", from = "…", to = "…" }]`. If only the front end needs it, add it to'
            " package.json."
        )
    return left_over("Build the front end with `assets`.")


def _read_download(text: str) -> Outcome:
    if _INSTALLERS.search(text):
        return unneeded(_INSTALLS)
    return left_over(
        'To add a program, copy it from an image that has it: `copy = [{ image = "…", from ='
        ' "…", to = "…" }]`. To add data, use a step of `run` with `network = true`. Or add the'
        " line to `instructions.runtime`, with a check of its sha256."
    )
