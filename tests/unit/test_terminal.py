"""Colour where it is welcome, and progress that shows at once."""

import os
import pty

import pytest

from bemi_orm.demo.terminal import MAX_WIDTH, Terminal


@pytest.fixture
def pseudo_terminal():
    """A stream into a terminal, and a function that gives what the terminal has received."""
    primary, secondary = pty.openpty()
    with open(secondary, "w") as stream, open(primary, "rb", buffering=0) as screen:
        yield stream, lambda: screen.read(10_000).decode()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)


def test_a_terminal_gets_colour(pseudo_terminal):
    stream, screen = pseudo_terminal
    terminal = Terminal(stream)
    terminal.say(terminal.paint("red")("gone"))
    assert screen() == "\x1b[31mgone\x1b[0m\r\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(pseudo_terminal, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    stream, screen = pseudo_terminal
    terminal = Terminal(stream)
    terminal.say(terminal.paint("red")("gone"))
    assert screen() == "gone\r\n"


def test_an_empty_no_color_does_not_count(pseudo_terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "")
    assert Terminal(pseudo_terminal[0]).paint("red")("gone") != "gone"


def test_a_file_gets_no_colour(tmp_path):
    with (tmp_path / "out").open("w") as stream:
        assert Terminal(stream).paint("bold")("text") == "text"


def test_a_step_shows_before_it_is_done(tmp_path):
    path = tmp_path / "out"
    with path.open("w") as stream, Terminal(stream).step("Start the server"):
        assert path.read_text().startswith("  Start the server ...")
    assert path.read_text().endswith(" s\n")


def test_a_step_that_fails_says_so_and_lets_the_error_through(tmp_path):
    path = tmp_path / "out"
    with path.open("w") as stream, pytest.raises(KeyError), Terminal(stream).step("Start the server"):
        raise KeyError
    assert path.read_text().endswith(" stopped\n")


def test_the_width_follows_the_terminal_up_to_a_limit(tmp_path, monkeypatch):
    with open(os.devnull, "w") as stream:
        monkeypatch.setenv("COLUMNS", "60")
        assert Terminal(stream).width == 60
        monkeypatch.setenv("COLUMNS", "500")
        assert Terminal(stream).width == MAX_WIDTH
