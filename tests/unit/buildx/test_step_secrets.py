"""The secrets of build steps come from the environment, or from arguments after `--`."""

from __future__ import annotations

import pytest

from poetry_docker_cache.buildx.step_secrets import not_passed, refuse_unset_secrets
from poetry_docker_cache.errors import DockerCacheError


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ([], ("A", "B")),
        (["--secret", "id=A,src=/a"], ("B",)),
        (["--secret=src=/a,id=A", "--pull", "--secret=type=env,id=B,env=X"], ()),
        (["--label", "id=A", "--secret"], ("A", "B")),
        (['--secret=id="A'], ("A", "B")),  # buildx refuses it
    ],
)
def test_secret_that_the_user_passes_is_not_passed_again(
    arguments: list[str], left: tuple[str, ...]
) -> None:
    """The last one would count."""
    assert not_passed(("A", "B"), arguments) == left


def test_unset_secret_is_an_error_before_the_build() -> None:
    """It says what to set; an empty value is a value."""
    refuse_unset_secrets(["A"], {"A": ""})
    with pytest.raises(DockerCacheError, match="the variable B is not set") as caught:
        refuse_unset_secrets(["A", "B"], {"A": "x"})
    assert "`export B=…`" in str(caught.value.fix)
    assert "`-- --secret id=B,src=PATH`" in str(caught.value.fix)
