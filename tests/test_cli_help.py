"""The command line as a user meets it first."""

import pytest

from flopbench.cli import COMMANDS, run


def test_help_lists_every_command_and_imports_none_of_them(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in shown


def test_a_misspelt_command_gets_one_line_with_the_near_names_and_exit_2(capsys):
    assert run(["hlp"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "flopbench: unknown command 'hlp'; did you mean hpl?\n"


@pytest.mark.parametrize("group", ["", "specs", "inventory"])
def test_a_group_without_its_command_shows_its_commands_one_a_line(group, capsys):
    run([group] if group else [])
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert lines[0].startswith(f"Usage: flopbench {group}".rstrip())
    assert len(lines) > 8 and max(map(len, lines)) <= 80


def test_the_help_of_specs_cuts_no_command_short(capsys):
    assert run(["specs", "--help"]) == 0
    assert "..." not in capsys.readouterr().out.split("Commands:")[1]
