"""What a template of the project's own can do, and the errors for its mistakes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.specifiers import SpecifierSet
from plans import TREE, plan, project
from projects import package

from poetry_docker_cache.errors import DockerCacheError
from poetry_docker_cache.render.dockerfile import render_dockerfile, render_ignore_file
from poetry_docker_cache.render.own_template import our_blocks, read_template, template_notes
from poetry_docker_cache.settings.image_values import Instructions

if TYPE_CHECKING:
    from poetry_docker_cache.plan.image_plan import ImagePlan, Template

CHAPTER = (Path(__file__).parents[3] / "docs/templates.md").read_text(encoding="utf-8")
PATH = "docker/Dockerfile.j2"
EXTENDS = '{% extends "Dockerfile.j2" %}\n'
MINE = "RUN echo mine"
INSTRUCTIONS = Instructions(build=("ENV A=1",), runtime=("ENV B=2",))
PLAN = plan(project(package("click")), instructions=INSTRUCTIONS)
PROMISED = ("build", "first_stages", "application", "base", "last_stages", "final", "contents")


def block(name: str, text: str) -> str:
    """Override a block."""
    return f"{{% block {name} %}}\n{text}\n{{% endblock %}}\n"


def read(folder: Path, text: str, **others: str) -> Template:
    """Write a template, and other files by name, and read it."""
    for name, content in {PATH: EXTENDS + text, **others}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    template = read_template(folder, PATH)
    assert template
    return template


def rendered(folder: Path, text: str, **others: str) -> str:
    """Render the Dockerfile of an ordinary project with this template."""
    return render_dockerfile(replace(PLAN, template=read(folder, text, **others)))


def test_names_of_blocks_are_documented() -> None:
    """Removing or renaming a block would break existing templates."""
    assert tuple(our_blocks()) == PROMISED
    assert tuple(re.findall(r"^\| `(\w+)` \|", CHAPTER, re.MULTILINE)) == PROMISED


def test_documented_values_exist(tmp_path: Path) -> None:
    """Each expression has the documented value."""
    spans = re.findall(r"`\{\{ (.+?) \}\}`", CHAPTER)
    expressions = [text for text in spans if "()" not in text]
    lines = [f"# {text}: {{{{ {text} }}}}" for text in expressions]
    shown = rendered(tmp_path, block("base", "\n".join(lines)))
    found = dict(re.findall(r"^# (plan\.\S+|.+ \| \w+): (.*)$", shown, re.MULTILINE))
    assert list(found) == expressions
    assert found == {
        "plan.runtime.image": "python:3.13-slim",
        "plan.runtime.python": "3.13",
        "plan.runtime.workdir": "/app",
        "plan.runtime.user": "10001:10001",
        "plan.dependencies.groups": "('main',)",
        "plan.dependencies.extras": "()",
        '["a", "b c"] | exec_form': '["a", "b c"]',
        "'say \"$x\"' | quoted": r'"say \"\$x\""',
        "'a b' | shell": "'a b'",
    }


def test_documented_stages_exist() -> None:
    """A template's own stages can start from them."""
    stages = re.findall(r"^FROM .* AS (\S+)$", render_dockerfile(PLAN), re.MULTILINE)
    named = re.search(r"^Your stages can use (.*) as their base, and", CHAPTER, re.MULTILINE)
    assert named
    promised = re.findall(r"`(\w+)`", named[1])
    assert promised == ["venv", "base"]
    assert set(promised) <= set(stages)
    assert stages[-1] == "final"


def test_documented_template_works(tmp_path: Path) -> None:
    """A stage of its own has the content of the image, which stays the same."""
    (text,) = re.findall(r"^```jinja\n(.*?)^```$", CHAPTER, re.DOTALL | re.MULTILINE)
    (tmp_path / "Dockerfile.j2").write_text(text)
    template = read_template(tmp_path, "Dockerfile.j2")
    assert template
    own = replace(PLAN, template=template)
    assert template_notes(own) == []
    shown = render_dockerfile(own)
    debug = shown[shown.index("FROM base AS debug\n") : shown.index("# The image:")]
    contents = shown[shown.index("ENV VIRTUAL_ENV", shown.index("AS final")) :]
    contents = contents[: contents.index("LABEL")]
    assert "COPY --link --from=application /application/venv /venv\n" in contents
    assert contents in debug
    assert debug.rstrip().endswith("install --yes gdb strace")
    unchanged = render_dockerfile(PLAN)
    assert shown.endswith(unchanged[unchanged.index("# The image:") :])


@pytest.mark.parametrize("name", PROMISED)
def test_block_with_super_adds_lines(name: str, tmp_path: Path) -> None:
    """Every other line stays, and the new lines are in the documented stage."""
    shown = rendered(tmp_path, block(name, "{{ super() -}}\n" + MINE))
    lines = [line for line in shown.splitlines() if line]
    assert MINE in lines
    ours = [line for line in render_dockerfile(PLAN).splitlines() if line]
    assert [line for line in lines if line != MINE] == ours
    before = "\n".join(lines[: lines.index(MINE)])
    last_stage = before.rpartition("\nFROM ")[2].split("\n")[0].rpartition(" ")[2]
    assert last_stage == {
        "build": "venv",
        "first_stages": "",
        "last_stages": "check",
        "contents": "final",
    }.get(name, name)


@pytest.mark.parametrize("spelling", ["{%- endblock %}", "{% endblock %}"])
@pytest.mark.parametrize("name", PROMISED)
def test_last_line_of_block_is_ended(name: str, spelling: str, tmp_path: Path) -> None:
    """Otherwise the next line would become part of it."""
    usual = rendered(tmp_path, block(name, "{{ super() -}}\n" + MINE))
    end = "\n" if spelling.startswith("{%-") else ""
    text = f"{{% block {name} %}}{{{{ super() -}}}}\n{MINE}{end}{spelling}\n"
    assert rendered(tmp_path, text) == usual
    company = {"docker/company.j2": EXTENDS + text}
    on_it = '{% extends "company.j2" %}\n' + block(name, "{{ super() -}}\n# the end")
    both = rendered(tmp_path, "", **company, **{PATH: on_it})
    assert both == usual.replace(f"{MINE}\n", f"{MINE}\n# the end\n")


def test_contents_in_another_stage_end_with_newline(tmp_path: Path) -> None:
    """A block with a name of the template's own may be part of a line."""
    stage = "FROM base AS mine\n{{ self.contents() -}}\nENV A={% block value %}b{% endblock %}c"
    text = "{% block contents %}{{ super() -}} # end{% endblock %}" + block("last_stages", stage)
    assert "# end\nENV A=bc\n" in rendered(tmp_path, text)


def test_block_without_super_replaces_lines(tmp_path: Path) -> None:
    """Only that block changes."""
    shown = rendered(tmp_path, block("base", MINE))
    assert MINE in shown
    assert "ENV B=2" not in shown
    assert "ENV A=1" in shown


def test_template_without_blocks_changes_nothing(tmp_path: Path) -> None:
    """Jinja's sandbox changes nothing either."""
    assert rendered(tmp_path, "{# nothing yet #}\n") == render_dockerfile(PLAN)


def test_files_are_found_in_the_templates_folder(tmp_path: Path) -> None:
    """Paths of included, imported and extended files start there."""
    others = {
        "docker/parts/user.j2": "RUN useradd {{ plan.runtime.user }} {% include 'parts/end.j2' %}",
        "docker/parts/end.j2": "# end\n",
        "docker/macros.j2": "{% macro say(text) %}RUN echo {{ text | shell }}{% endmacro %}",
        "docker/company.j2": EXTENDS
        + block("base", "{{ super() -}}\nENV OF=company\n{% block more %}\n{% endblock %}"),
        PATH: '{% extends "company.j2" %}\n{% from "macros.j2" import say %}\n'
        + block("more", "{% include 'parts/user.j2' %}\n{{ say('a b') }}")
        + block("final", "{{ super() -}}\n{% include 'none.j2' ignore missing %}\nENV C=3"),
    }
    template = read(tmp_path, "", **others)
    assert set(template.texts) == set(others)
    shown = render_dockerfile(replace(PLAN, template=template))
    assert "ENV OF=company\nRUN useradd 10001:10001 # end\nRUN echo 'a b'\n" in shown
    assert shown.endswith("\nENV C=3\n")


@pytest.mark.parametrize("how", ["", " ignore missing", " without context"])
def test_included_file_ends_with_newline(how: str, tmp_path: Path) -> None:
    """Its text is in the place where it is included, whatever its last line ends with."""
    text = f"ENV A=1\n{{% include 'part.j2'{how} %}}\nENV C=3"
    for end in ("", "\n", "{# nothing #}"):
        part = {"docker/part.j2": f"ENV B=2{end}"}
        assert "\nENV A=1\nENV B=2\nENV C=3\n" in rendered(tmp_path, block("base", text), **part)


def test_template_outside_the_project(tmp_path: Path) -> None:
    """Several projects may share it, and it is not part of the build context."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shared.j2").write_bytes(b"\xef\xbb\xbf" + EXTENDS.replace("\n", "\r\n").encode())
    template = read_template(tmp_path / "shop", "../shared.j2")
    own = replace(PLAN, template=template)
    assert render_dockerfile(own) == render_dockerfile(PLAN)
    assert render_ignore_file(own, "Dockerfile") == render_ignore_file(PLAN, "Dockerfile")


def test_required_jinja_has_a_safe_sandbox() -> None:
    """Releases before 3.1.6 have known ways out of it."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    (asked,) = re.findall(r'"jinja2 (.*)"', text)
    assert list(SpecifierSet(asked).filter(["3.1.5", "3.1.6", "3.2.0"])) == ["3.1.6", "3.2.0"]


def test_no_template_is_read_without_the_setting(tmp_path: Path) -> None:
    """None is the answer."""
    assert read_template(tmp_path, None) is None


# The text after the first line, a part of the problem and a part of the fix.
MISTAKES = {
    "unknown tag": ("{% blok base %}", "line 2: Encountered unknown tag 'blok'", "documentation"),
    "open block": ("{% block base %}", "line 2: Unexpected end of template", "documentation"),
    "unknown filter": (
        block("base", "{{ 1 | nope }}"),
        "line 3: No filter named 'nope'",
        "documentation",
    ),
    "twice": (block("base", "") * 2, "block 'base' defined twice", "documentation"),
    "misspelt block": (block("bsae", MINE), "line 2: this release's", "Did you mean base? The"),
    "removed block": (block("hooks", MINE), "no block 'hooks'", "The blocks are build, first_sta"),
    "outside": (f"\n\n{MINE}\n", "line 4: this is outside a block", "block: build, first_"),
    "value outside": ("{{ plan }}", "line 2: this is outside a block", "Move it"),
    "condition": ("{% if 1 %}" + block("base", MINE) + "{% endif %}", "line 2: this", "Move it"),
    "undefined": (
        block("base", "{{ nothing }}"),
        f"{PATH}, line 3: 'nothing' is undefined",
        "docs",
    ),
    "attribute": (
        block("base", "{{ plan.runtime.imgae }}"),
        "no attribute 'imgae'",
        "documentation",
    ),
    "type": (block("base", "{{ plan + 1 }}"), "line 3: TypeError: ", "documentation"),
    "sandbox": (
        block("base", "{{ plan.__class__ }}"),
        "line 3: access to attribute",
        "documentation",
    ),
    "change": (
        block("base", "{{ plan.runtime.labels.clear() }}"),
        "line 3: access to",
        "documentation",
    ),
    "file": (
        block("base", "{{ text_of('../render.py') }}"),
        "'text_of' is undefined",
        "documentation",
    ),
    "name of ours": ("{% set add = 1 %}", "sets 'add', a name that the built-in", "another name"),
    "macro of ours": ("{% macro script(x) %}{% endmacro %}", "sets 'script'", "another name"),
    "the plan": ("{% set plan = 1 %}", "sets 'plan'", "another name"),
    "include": (
        block("base", "{% include 'no.j2' %}"),
        "line 3: there is no file docker/no.j2",
        "",
    ),
    "any": (block("base", "{% include ['a.j2', 'b.j2'] %}"), "there is no file a.j2 or b.j2", ""),
    "computed": (block("base", "{% include plan.x %}"), "line 3: the name of the file", "in quot"),
    "outside of it": (block("base", "{% include '../../x.j2' %}"), "outside the tem", "Move it"),
    "stage": (
        block("last_stages", "FROM base as Venv"),
        "adds a second stage named 'venv'",
        "Rename",
    ),
    "last stage": (
        block("final", "{{ super() -}}\nFROM final AS debug"),
        "the last stage is 'debug'",
        "`last_stages`",
    ),
    "last stage without a name": (
        block("final", "{{ super() -}}\nFROM alpine"),
        "the last stage is 'FROM alpine'",
        "`last_stages`",
    ),
    "last stage on two lines": (
        block("final", "{{ super() -}}\nFROM --platform=$BUILDPLATFORM alpine \\\n# on it\n AS a"),
        "the last stage is 'a'",
        "`last_stages`",
    ),
    "nested": (
        block("last_stages", block("contents", MINE)),
        "line 3: the block 'contents' is nested",
        "Move it to the top",
    ),
    "nested in a macro": (
        "{% macro x() %}" + block("final", MINE) + "{% endmacro %}",
        "line 2: the block 'final' is nested",
        "Move it to the top",
    ),
    "lost contents": (
        block("final", MINE) + block("contents", "{{ super() }}" + MINE),
        "would not have the block `contents`",
        "`{{ self.contents() -}}`",
    ),
    "parentheses": (
        block("base", "\n{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}"),
        "nested too deeply",
        "documentation",
    ),
    "sums": (
        block("base", "{{ " + "(" * 300 + "plan" + "+ 1)" * 300 + " }}"),
        "nested too deeply",
        "documentation",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_an_error_with_file_and_line(name: str, tmp_path: Path) -> None:
    """The problem is one line, and the fix says what to do."""
    text, says, fix = MISTAKES[name]
    with pytest.raises(DockerCacheError) as caught:
        rendered(tmp_path, text)
    assert PATH in caught.value.problem
    assert says in caught.value.problem
    assert "\n" not in caught.value.problem
    assert "project:" not in caught.value.problem
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({PATH: "FROM python:3.13\n"}, f"{PATH} does not extend the built-in template."),
        ({PATH: "{% include 'Dockerfile.j2' %}\n"}, "does not extend the built-in template"),
        ({PATH: "{% extends 'none.j2' %}\n"}, "built-in template: docker/none.j2 does not exist"),
        (
            {PATH: "{% extends 'a.j2' %}\n", "docker/a.j2": "{% extends 'a.j2' %}\n"},
            "docker/a.j2 does not extend the built-in template",
        ),
        (
            {
                PATH: EXTENDS + block("base", "{% include 'part.j2' %}"),
                "docker/part.j2": "\n{{ nothing }}",
            },
            "docker/part.j2, line 2: 'nothing' is undefined",
        ),
        (
            {
                PATH: EXTENDS + block("base", "{% include 'part.j2' %}"),
                "docker/part.j2": "{% include 'part.j2' %}",
            },
            "docker/part.j2, line 1: RecursionError",
        ),
    ],
)
def test_mistake_in_included_or_extended_file(
    files: dict[str, str], says: str, tmp_path: Path
) -> None:
    """The error names the file that has it."""
    with pytest.raises(DockerCacheError) as caught:
        rendered(tmp_path, "", **files)
    assert says in caught.value.problem
    assert caught.value.fix


def test_heredoc_lines_are_not_stages(tmp_path: Path) -> None:
    """`FROM` in a here-document starts no stage, and `<<` in quotes no here-document."""
    quoted = 'RUN echo "a <<b"'
    text = f"COPY <<-end <<'two' /\nFROM a\n\tend\nFROM b AS final\ntwo\n{quoted}"
    assert rendered(tmp_path, block("final", "{{ super() -}}\n" + text)).endswith(f"{text}\n")
    with pytest.raises(DockerCacheError, match="last stage is 'FROM c'"):
        rendered(tmp_path, block("final", "{{ super() -}}\n" + text + "\nFROM c"))


def test_final_can_keep_contents_alone(tmp_path: Path) -> None:
    """`self.contents()` is enough for the block `contents` to count."""
    text = block("final", "{{ self.contents() -}}\nUSER 1") + block("contents", MINE)
    assert rendered(tmp_path, text).endswith(f" AS final\n{MINE}\nUSER 1\n")


def test_unreadable_template_is_an_error(tmp_path: Path) -> None:
    """It is missing, a folder, not text, or a link that leaves the folder."""
    with pytest.raises(DockerCacheError, match=r"names 'a\.j2', which does not exist"):
        read_template(tmp_path, "a.j2")
    (tmp_path / "a.j2").mkdir()
    with pytest.raises(DockerCacheError, match=r"The template a\.j2 cannot be read: Is a dir"):
        read_template(tmp_path, "a.j2")
    (tmp_path / "latin.j2").write_bytes("# é".encode("latin-1"))
    with pytest.raises(DockerCacheError, match="it is not valid UTF-8"):
        read_template(tmp_path, "latin.j2")
    (tmp_path / "secret").write_text("password\n")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "link.j2").symlink_to(tmp_path / "secret")
    with pytest.raises(DockerCacheError, match="outside the template's folder"):
        read(tmp_path, block("base", "{% include 'link.j2' %}"))


def test_replaced_and_unused_blocks_are_noted(tmp_path: Path) -> None:
    """A note names each of them."""
    text = block("base", MINE) + block("last_stages", MINE) + block("application", MINE)
    template = read(tmp_path, text)
    (note,) = template_notes(replace(PLAN, template=template))
    assert note.startswith(f"{PATH} replaces base, so ")
    tree = plan(project(root=TREE, files=()))
    _, note = template_notes(replace(tree, template=template))
    assert (
        note
        == f"The block `application` of {PATH} has no effect: no wheel of the project is built."
    )
    assert template_notes(PLAN) == []


def test_notes_name_the_extended_file(tmp_path: Path) -> None:
    """A template in between may replace lines."""
    middle = block("base", MINE) + block("last_stages", MINE) + block("application", MINE)
    others = {
        "docker/company.j2": EXTENDS + middle,
        PATH: '{% extends "company.j2" %}\n'
        + block("base", "{{ super() }}")
        + block("last_stages", MINE),
    }
    template = read(tmp_path, "", **others)
    of_base, of_stages = template_notes(replace(PLAN, template=template))
    assert of_base.startswith("docker/company.j2 replaces base, so ")
    assert of_stages.startswith(f"{PATH} replaces last_stages, so ")
    tree = replace(plan(project(root=TREE, files=())), template=template)
    assert "The block `application` of docker/company.j2 has no effect" in template_notes(tree)[-1]


def hidden(plan_: ImagePlan) -> list[str]:
    """Return the last lines of the ignore file."""
    return render_ignore_file(plan_, "Dockerfile").splitlines()[-4:]


def test_template_is_not_sent_to_the_build(tmp_path: Path) -> None:
    """An edit of it changes no folder that is copied as a whole."""
    part = {"docker/part.j2": MINE}
    template = read(tmp_path, block("base", "{% include 'part.j2' %}"), **part)
    tree = replace(plan(project(root=TREE, files=None)), template=template)
    assert hidden(tree) == ["Dockerfile.dockerignore", PATH, "docker/part.j2", ".dockerignore"]
    named = plan(project(root=TREE, files=None), files=("docker",))
    assert hidden(replace(named, template=template)) == hidden(named)


def test_reused_builds_depend_on_the_block_build(tmp_path: Path) -> None:
    """Packages built from source with other lines are not reused; other blocks do not matter."""
    shop = project(package("old", files=["old-1.0.tar.gz"]))
    source = plan(shop, reuse_image="shop:latest", instructions=Instructions(build=("ENV A=1",)))

    def made_by(text: str) -> str:
        own = replace(source, template=read(tmp_path, text) if text else None)
        (found,) = re.finditer(r"'--made-by=(poetry .*)'", render_dockerfile(own))
        return found[1]

    alone = made_by("")
    other = made_by(block("build", "ENV A=2"))
    assert made_by(block("final", "{{ super() }}# a remark")) == alone
    assert made_by(block("build", "{{ super() -}}")) == alone
    assert made_by(block("build", "ENV A=1")) == alone
    assert made_by(block("build", "ENV A={{ 1 + 1 }}")) == other != alone
