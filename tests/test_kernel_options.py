"""`--option NAME=VALUE`: options that a kernel has for itself."""

from __future__ import annotations

from typing import ClassVar

import pytest
from broken_kernels import BitInX

from flopbench.errors import BadInput
from flopbench.kernel_api import Settings
from flopbench.kernel_list import KernelRow
from flopbench.report.machine_text import kernel_lines


class Choosy(BitInX):
    """A kernel with an option."""

    options: ClassVar[dict[str, tuple[str, ...]]] = {"colour": ("red", "blue")}


def test_an_option_has_its_first_value_unless_the_user_says_otherwise():
    assert Choosy().option("colour") == "red"
    chosen = Choosy(Settings(extra={"colour": "blue"}))
    chosen.require_options()
    assert chosen.option("colour") == "blue"


def test_an_unknown_value_or_option_is_one_line_with_what_is_allowed():
    with pytest.raises(BadInput, match="--option colour=green; allowed: red, blue"):
        Choosy(Settings(extra={"colour": "green"})).require_options()
    with pytest.raises(BadInput, match="has no option shape; allowed: colour"):
        Choosy(Settings(extra={"shape": "round"})).require_options()


def test_the_list_of_kernels_shows_their_options():
    row = KernelRow(name="lu_fp64_x", package="mine", options={"colour": ["red", "blue"]})
    assert any("colour=red|blue" in line for line in kernel_lines([row]))
