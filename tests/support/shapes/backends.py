"""Build backends other than poetry-core."""

from __future__ import annotations

from shapes.shape import ACME, EXPLICIT, Shape

# A build backend from another index than the dependencies. Its hook asks git for the version.
HATCHLING = Shape(
    pyproject="""
        [project]
        name = "acme-hatch"
        dynamic = ["version"]
        readme = "README.md"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-util"]

        [project.scripts]
        acme-hatch = "acme_hatch:main"

        [tool.poetry]
        version = "1.0"

        [tool.poetry.dependencies]
        acme-lib = {{ source = "acme" }}
        acme-util = {{ source = "acme" }}

        [tool.hatch.version]
        source = "vcs"

        [tool.hatch.build.hooks.vcs]
        version-file = "src/acme_hatch/_version.py"

        [tool.hatch.build.targets.wheel]
        packages = ["src/acme_hatch"]

        [build-system]
        requires = ["hatchling>=1.24", "hatch-vcs>=0.4"]
        build-backend = "hatchling.build"
    """
    + EXPLICIT,
    files={
        "README.md": "# Hatch\n",
        "src/acme_hatch/__init__.py": """\
            from pathlib import Path

            import acme_lib
            from acme_hatch._version import version

            def main():
                print(Path(__file__).with_name("name.txt").read_text().strip(), version)
            """,
        "src/acme_hatch/name.txt": "hatched\n",
    },
    prints="hatched 1.0\n",
)

# setuptools, from the project's own index, with files beside the code.
SETUPTOOLS = Shape(
    pyproject="""
        [project]
        name = "acme-set"
        version = "1"
        readme = "README.md"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib"]

        [project.scripts]
        acme-set = "acme_set:main"

        [tool.setuptools.packages.find]
        where = ["src"]

        [tool.setuptools.package-data]
        acme_set = ["*.txt", "pages/*.html"]

        [build-system]
        requires = ["setuptools>=77"]
        build-backend = "setuptools.build_meta"
    """
    + ACME,
    files={
        "README.md": "# Set\n",
        "src/acme_set/__init__.py": """\
            from pathlib import Path

            import acme_lib

            HERE = Path(__file__).parent

            def main():
                for name in ("name.txt", "pages/index.html"):
                    print((HERE / name).read_text().strip())
            """,
        "src/acme_set/name.txt": "set\n",
        "src/acme_set/pages/index.html": "<p>up\n",
    },
    prints="set\n<p>up\n",
)

# setuptools-scm asks git for the version and for the files beside the code.
SETUPTOOLS_SCM = Shape(
    pyproject="""
        [project]
        name = "acme-scm"
        dynamic = ["version"]
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-util"]

        [project.scripts]
        acme-scm = "acme_scm:main"

        [tool.poetry]
        version = "1.0"

        [tool.poetry.dependencies]
        acme-lib = {{ source = "acme" }}
        acme-util = {{ source = "acme" }}

        [tool.setuptools_scm]
        version_file = "src/acme_scm/_version.py"

        [build-system]
        requires = ["setuptools>=77", "setuptools-scm>=8"]
        build-backend = "setuptools.build_meta"
    """
    + EXPLICIT,
    files={
        "src/acme_scm/__init__.py": """\
            from pathlib import Path

            import acme_lib
            from acme_scm._version import version

            def main():
                print(Path(__file__).with_name("name.txt").read_text().strip(), version)
            """,
        "src/acme_scm/name.txt": "tracked\n",
    },
    prints="tracked 1.0\n",
)

# A program in Rust beside a module in Python, packed by maturin.
RUST = Shape(
    pyproject="""
        [project]
        name = "acme-rust"
        version = "1.0"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-util"]

        [tool.poetry]
        packages = [{{ include = "acme_rust", from = "python" }}]

        [tool.poetry.dependencies]
        acme-lib = {{ source = "acme" }}
        acme-util = {{ source = "acme" }}

        [tool.maturin]
        manifest-path = "rust/Cargo.toml"
        bindings = "bin"
        module-name = "acme_rust"
        python-source = "python"

        [tool.poetry-docker-cache]
        command = ["acme-rust"]

        [build-system]
        requires = ["maturin>=1.8,<2"]
        build-backend = "maturin"
    """
    + EXPLICIT,
    files={
        "Cargo.toml": """\
            [workspace]
            members = ["rust"]
            resolver = "2"
            """,
        "rust/Cargo.toml": """\
            [package]
            name = "acme-rust"
            version = "1.0.0"
            edition = "2021"

            [dependencies]
            acme-said = { path = "../crates/said" }
            """,
        "rust/build.rs": "fn main() {}\n",
        "crates/said/Cargo.toml": """\
            [package]
            name = "acme-said"
            version = "1.0.0"
            edition = "2021"
            """,
        "crates/said/src/lib.rs": 'pub const SAID: &str = include_str!("../../../said.txt");\n',
        "said.txt": "rust",
        "rust/src/main.rs": """\
            use std::process::Command;

            fn main() {
                println!("{}", acme_said::SAID);
                Command::new("python").args(["-m", "acme_rust"]).status().unwrap();
            }
            """,
        "python/acme_rust/__init__.py": "",
        "python/acme_rust/__main__.py": "import acme_lib\nprint('python')\n",
    },
    prints="rust\npython\n",
    may_have_scripts=False,
)

# A build script for C, and a path dependency whose wheel shows what it was built with: Poetry
# applies build constraints to dependencies, but not to the project itself.
EXTENSION = Shape(
    pyproject="""
        [project]
        name = "acme-extension"
        version = "1"
        readme = "README.md"
        requires-python = ">=3.11,<4"
        dependencies = ["acme-lib", "acme-stamp"]

        [project.scripts]
        acme-extension = "acme_extension:main"

        [tool.poetry]
        packages = [{{ include = "acme_extension", from = "src" }}]
        include = [{{ path = "src/acme_extension/*.so", format = "wheel" }}]
        build = {{ script = "build_five.py", generate-setup-file = false }}

        [tool.poetry.dependencies]
        acme-stamp = {{ path = "libs/stamp" }}

        [tool.poetry.build-constraints]
        acme-stamp = {{ acme-backend = "<2" }}
        acme-extension = {{ setuptools = "<1" }}

        [build-system]
        requires = ["poetry-core>=2.0", "setuptools"]
        build-backend = "poetry.core.masonry.api"
    """
    + ACME,
    files={
        "README.md": "# Extension\n",
        "build_five.py": """\
            from setuptools import Distribution, Extension

            five = Extension("acme_extension._five", ["src/acme_extension/_five.c"])
            project = Distribution({"ext_modules": [five], "package_dir": {"": "src"}})
            command = project.get_command_obj("build_ext")
            command.inplace = True
            command.ensure_finalized()
            command.run()
            """,
        "src/acme_extension/__init__.py": """\
            import acme_lib, acme_stamp
            from acme_extension._five import FIVE

            def main():
                print("extension", FIVE, acme_stamp.VERSION)
            """,
        "src/acme_extension/_five.c": """\
            #include <Python.h>

            static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_five", NULL, -1, NULL};

            PyMODINIT_FUNC PyInit__five(void) {
                PyObject *made = PyModule_Create(&module);
                if (made) PyModule_AddIntConstant(made, "FIVE", 5);
                return made;
            }
            """,
        "libs/stamp/acme_stamp/__init__.py": "",
        "libs/stamp/pyproject.toml": """\
            [project]
            name = "acme-stamp"
            version = "0"

            [build-system]
            requires = ["acme-backend"]
            build-backend = "acme_backend"
            """,
    },
    prints="extension 5 1.0\n",
)
