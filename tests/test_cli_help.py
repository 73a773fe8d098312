"""The command line as a user meets it first."""

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
