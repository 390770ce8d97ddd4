"""Explanations of failed builds, from real output of Poetry 2.1 to 2.5 and of packages' builds."""

from __future__ import annotations

import pytest

from poetry_docker_cache.inside.install.failures import explain_build as explain

POETRY = """\
  - Installing {package}

PEP517 build of a dependency failed

Backend subprocess exited when trying to invoke get_requires_for_build_wheel

    | Command '['/tmp/tmp_bh832_y/.venv/bin/python', '/opt/poetry/_in_process.py', 'build_wheel', \
'/tmp/tmp_mpyeis4']' returned non-zero exit status 1.
    |{output}

Note: This error originates from the build backend, and is likely not a problem with poetry but \
one of the following issues with {package}

  - not supporting PEP 517 builds
  - not specifying PEP 517 build requirements correctly
  - the build requirements are incompatible with your operating system or Python version
  - the build requirements are missing system dependencies (eg: compilers, libraries, headers).

You can verify this by running pip wheel --no-cache-dir --use-pep517 "psycopg2 (==2.9.13)".
"""


def failed(output: str, package: str = "some-package (1.2)") -> str:
    """Return what Poetry prints for a failed build with this output."""
    return POETRY.format(package=package, output=output.replace("\n", "\n    | "))


@pytest.mark.parametrize(
    ("output", "names", "packages"),
    [
        # psycopg2
        ("Error: pg_config executable not found.", "pg_config", ["libpq-dev"]),
        # python-ldap
        (
            (
                "Modules/common.h:15:10: fatal error: lber.h: No such file or directory\n"
                "   15 | #include <lber.h>\n"
                "error: Command '['x86_64-linux-gnu-gcc', '-c', 'Modules/LDAPObject.c']' returned"
                " non-zero exit status 1."
            ),
            "lber.h",
            ["libldap-dev"],
        ),
        ("x.c:1:10: fatal error: 'sql.h' file not found", "sql.h", ["unixodbc-dev"]),
        # mysqlclient without pkg-config, and with it
        (
            (
                "/bin/sh: 1: pkg-config: not found\nTrying pkg-config --exists mysqlclient\n"
                "Command 'pkg-config --exists mysqlclient' returned non-zero exit status 127.\n"
                "Command 'pkg-config --exists mariadb' returned non-zero exit status 127."
            ),
            "pkg-config, mysqlclient",
            ["default-libmysqlclient-dev", "pkg-config"],
        ),
        (
            "Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.",
            "mysqlclient",
            ["default-libmysqlclient-dev"],
        ),
        # gssapi
        (
            (
                "/bin/sh: 1: krb5-config: not found\nsubprocess.CalledProcessError: Command"
                " 'krb5-config --libs gssapi' returned non-zero exit status 127."
            ),
            "krb5-config",
            ["libkrb5-dev"],
        ),
        ("bash: line 1: cmake: command not found", "cmake", ["cmake"]),
        # xmlsec
        ("error: Unable to invoke pkg-config.", "pkg-config", ["pkg-config"]),
        ("error: xmlsec1 is not installed or not in path.", "xmlsec1", ["libxmlsec1-dev"]),
        # pycurl
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'curl-config'",
            "curl-config",
            ["libcurl4-openssl-dev"],
        ),
        # lxml, pillow
        (
            "Error: Please make sure the libxml2 and libxslt development packages are installed.",
            "libxml2, libxslt",
            ["libxml2-dev", "libxslt1-dev"],
        ),
        (
            (
                "The headers or library files could not be found for jpeg,\na required dependency"
                " when compiling Pillow from source."
            ),
            "jpeg",
            ["libjpeg-dev"],
        ),
        # pycairo, which uses meson
        (
            '../cairo/meson.build:31:12: ERROR: Dependency "cairo" not found (tried pkg-config)',
            "cairo",
            ["libcairo2-dev"],
        ),
        # setuptools new and old, meson, cmake, uwsgi
        *(
            (words, "a C compiler", ["build-essential"])
            for words in (
                "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'",
                "error: command 'gcc' failed: No such file or directory",
                "unable to execute 'x86_64-linux-gnu-gcc': No such file or directory",
                "../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]",
                (
                    "CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage\n"
                    "CMake Error: CMAKE_CXX_COMPILER not set, after EnableLanguage"
                ),
                'Exception("you need a C compiler to build uWSGI")',
            )
        ),
    ],
)
def test_missing_dependency_is_named(output: str, names: str, packages: list[str]) -> None:
    """The explanation names the package and what is missing, and has the setting to add."""
    lines = explain(failed(output)).splitlines()
    assert lines[0] == (
        f"some-package (1.2) could not be built from source: its build did not find {names}."
    )
    listed = ", ".join(f'"{package}"' for package in packages)
    assert lines[2:] == [f"build-packages = [{listed}]"]


@pytest.mark.parametrize(
    "words",
    ["Rust not found, installing into a temporary directory", "error: can't find Rust compiler"],
)
def test_missing_rust(words: str) -> None:
    """Debian's Rust is proposed, with a hint that it may be too old."""
    said = explain(failed(words))
    assert 'build-packages = ["cargo"]' in said
    assert "`build-image` with a newer one" in said


def test_unknown_header() -> None:
    """The explanation has the command that finds the package of a header."""
    said = explain(failed("src/a.c:1:10: fatal error: odd/thing.h: No such file or directory"))
    assert "its build did not find odd/thing.h." in said
    assert "apt-file search /odd/thing.h" in said
    assert "build-packages = " not in said


def test_known_and_unknown_header() -> None:
    """Both are explained."""
    said = explain(failed("fatal error: sql.h: No such file\nfatal error: odd.hpp: No such file"))
    assert "its build did not find sql.h, odd.hpp." in said
    assert 'build-packages = ["unixodbc-dev"]' in said
    assert "apt-file search /odd.hpp" in said


def test_unknown_library() -> None:
    """A missing library is named even if its package is unknown."""
    said = explain(failed('ERROR: Dependency "odd-thing" not found (tried pkg-config)'))
    assert "its build did not find odd-thing." in said
    assert "`build-packages`" in said
    assert "build-packages = " not in said


@pytest.mark.parametrize(
    "words",
    [
        "a.c:3:1: error: expected ';' before 'return'",
        "FileNotFoundError: [Errno 2] No such file or directory: 'README.md'",
        "subprocess.CalledProcessError: Command 'make -j2' returned non-zero exit status 2.",
    ],
)
def test_unknown_reason(words: str) -> None:
    """Without a known message in the output, nothing is guessed."""
    said = explain(failed(words))
    assert said.startswith("some-package (1.2) could not be built from source: see the output")
    assert "`build-packages`" in said
    assert "too old for the image's Python" in said


def test_several_failures() -> None:
    """Each failed package gets its own explanation."""
    output = failed("Error: pg_config executable not found.", "psycopg2 (2.9.13)")
    output += failed("a.c:1:10: fatal error: lber.h: No such file", "python-ldap (3.4.8)")
    said = explain(output)
    assert (
        "psycopg2 (2.9.13) could not be built from source: its build did not find pg_config."
        in said
    )
    assert (
        "python-ldap (3.4.8) could not be built from source: its build did not find lber.h." in said
    )


def test_alpine_package_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Alpine, packages have Alpine's names, and Debian's tools are not mentioned."""
    monkeypatch.setattr("shutil.which", lambda name: f"/sbin/{name}" if name == "apk" else None)
    said = explain(failed("fatal error: lber.h: No such file\nfatal error: sql.h: No such file"))
    assert 'build-packages = ["openldap-dev", "unixodbc-dev"]' in said
    said = explain(failed("fatal error: odd/thing.h: No such file"))
    assert "add its Alpine package to `build-packages`" in said
    assert "Debian" not in said


def test_build_by_pip() -> None:
    """A failed build by pip is explained like one by Poetry."""
    said = explain(
        "      error: command 'gcc' failed: No such file or directory\n"
        "      [end of output]\n"
        "  note: This error originates from a subprocess, and is likely not a problem with pip.\n"
        "  ERROR: Failed building wheel for cffi\n"
        "ERROR: Failed to build installable wheels for some pyproject.toml based projects (cffi)\n"
    )
    assert said.startswith(
        "cffi could not be built from source: its build did not find a C compiler."
    )


def test_other_failures_have_no_explanation() -> None:
    """Only the output of failed builds is searched."""
    assert explain("  - Installing flask (3.1)\nsh: 1: git: not found\n") == ""
