"""`manage.py bemi log` and `manage.py bemi blame`."""

import io
import json
import os
import shlex
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from bemi_orm import Change
from bemi_orm.management.paging import paged, paint_for, until_reader_leaves, write_all
from bemi_orm.management.selecting import read_moment
from tests.integration.rows import START, store
from tests.todos.models import SpecialDocument

pytestmark = pytest.mark.django_db

ROW = {"id": 5, "task": "a", "is_completed": False}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(*words, stdout=None):
    stdout = stdout or io.StringIO()
    call_command("bemi", *map(str, words), stdout=stdout)
    return stdout.getvalue()


@pytest.fixture
def history():
    """Three changes of a row, by two users, and one of another row; a day apart."""
    return [
        store(key=5, after=ROW, context={"user_id": 7, "request": {"method": "POST"}, "SQL": "INSERT"}),
        store(
            key=5, operation="UPDATE", before=ROW, after=ROW | {"task": "b\nc"}, context={"user_id": 8},
            committed_at=START + timedelta(days=1),
        ),
        store(key=6, after=ROW | {"id": 6}, committed_at=START + timedelta(days=2)),
        store(
            key=5, operation="DELETE", before=ROW | {"task": "b\nc"}, committed_at=START + timedelta(days=3)
        ),
    ]  # fmt: skip


def logged(*words):
    return [json.loads(line)["id"] for line in run("log", *words, "--json").splitlines()]


def test_log_shows_changes_like_commits_the_newest_first(history):
    text = run("log", "todos_todo", 5)
    assert [line.split()[1] for line in text.splitlines() if line.startswith("change")] == [
        str(history[3]), str(history[1]), str(history[0]),
    ]  # fmt: skip
    assert (
        f"change {history[1]}\n"
        "UPDATE public.todos_todo 5\n"
        "Date:    2026-01-02 00:00:00+00:00\n"
        'Context: {"user_id": 8}\n'
        "\n"
        "    task\n"
        "    - a\n"
        "    + b\\nc\n"
        "\n"
    ) in text
    assert "INSERT" not in text
    assert "\x1b" not in text


def test_log_takes_a_table_a_schema_with_it_or_a_model(history):
    everything = [str(change) for change in reversed(history)]
    for table in ("todos_todo", "public.todos_todo", "todos.Todo", "todos.todo"):
        assert logged(table) == everything
    assert logged("todos_todolist") == logged("public.todos_todolist") == logged("todos.TodoList") == []
    assert run("log", "todos_todolist") == "No changes.\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nope", "of it.$"), ("todos.Tood", "mean todos.Todo[?]"), ("todos_tood", "mean todos_todo[?]"),
        ("archive.todos_todo", "of it"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_log_of_a_table_that_nobody_knows_is_an_error(history, name, hint, words):
    with pytest.raises(CommandError, match=f"{name} is no model, no table.*{hint}"):
        run("log", name, *words)


def test_log_of_a_dropped_table_shows_what_is_stored():
    change = store(table="dropped", key=1, after={"id": 1})
    assert logged("dropped") == logged("public.dropped") == [str(change)]
    assert run("log", "dropped", 2) == "No changes.\n"


def test_log_narrows_by_time_context_and_count(history):
    first, second, third, fourth = map(str, history)
    assert logged("todos_todo", "--since", "2026-01-03") == [fourth, third]
    assert logged("todos_todo", "--since", "2026-01-02", "--until", "2026-01-03 00:00") == [second]
    assert logged("todos_todo", "--context", "user_id=7") == [first]
    assert logged("todos_todo", "--context", "user_id=8", "--context", "request.method=POST") == []
    assert logged("todos_todo", "--context", "request.method=POST") == [first]
    assert logged("todos_todo", "-n", "2") == [fourth, third]
    assert logged("todos_todo", "5", "--limit", "1") == [fourth]


def test_log_follows_former_keys(history):
    moved = store(key=7, previous=6, operation="UPDATE", before=ROW | {"id": 6}, after=ROW | {"id": 7})
    assert logged("todos_todo", "7") == [str(moved), str(history[2])]
    assert "(was 6)" in run("log", "todos_todo", 7)


def test_p30_log_of_a_key_of_text_of_digits_and_of_several_columns():
    text, digits = store(table="todos_tag", key="a b"), store(table="todos_tag", key="12")
    seat = store(table="todos_seat", key='["A","1"]')
    assert logged("todos_tag", "a b") == [str(text)]
    assert logged("todos_tag", "12") == [str(digits)]
    assert logged("todos_seat", "A", "1") == [str(seat)]


def test_p30_log_of_keys_at_the_ends_of_bigint_and_beyond():
    smallest, largest, text = -(2**63), 2**63 - 1, str(2**63)
    stored = [store(key=smallest), store(key=largest), store(key=text), store(key="9" * 30)]
    assert logged("todos_todo", largest) == [str(stored[1])]
    assert logged("todos_todo", smallest) == [str(stored[0])]
    assert logged("todos_todo", text) == [str(stored[2])]
    assert logged("todos_todo", "9" * 30) == [str(stored[3])]


def test_log_as_json_has_the_images_exactly_and_what_is_not_known_has_no_key():
    store(
        key=5,
        operation="UPDATE",
        before='{"id": 5}',
        after='{"id": 5, "price": 1.10}',
        context={"user_id": 7},
    )
    line = run("log", "todos_todo", "--json")
    assert '"price": 1.10' in line
    data = json.loads(line)
    assert data["diff"] == [{"column": "price", "new": 1.1}]
    assert (data["table"], data["primary_key"], data["context"]) == ("todos_todo", "5", {"user_id": 7})
    assert datetime.fromisoformat(data["committed_at"]) == Change.objects.get().committed_at


def test_log_of_rows_without_a_model():
    store(table="log", key=None, after={"n": 1})
    store(table="log", key=None, operation="TRUNCATE")
    assert "TRUNCATE public.log" in run("log", "log")


@pytest.mark.parametrize(
    "words", [["--since", "soon"], ["--until", "2026-13-01"], ["--context", "user_id"], ["-n", "-1"]]
)
def test_argument_that_makes_no_sense_is_an_error_that_says_what_does(words):
    with pytest.raises(CommandError, match=r"such as"):
        run("log", "todos_todo", *words)


def test_moment_is_in_the_time_zone_of_the_project(settings):
    settings.TIME_ZONE = "Asia/Tokyo"
    assert read_moment("2026-01-31 09:00") == datetime(2026, 1, 31, tzinfo=UTC)


def test_context_value_is_json_or_a_text():
    number, text = store(context={"user_id": 7}), store(context={"user_id": "7"})
    nested = store(context={"a": {"b": "x=y"}, "in": None, "tags": ["x", {"n": 1}]})
    assert logged("todos_todo", "--context", "user_id=7") == [str(text), str(number)]
    for condition in ("a.b=x=y", 'a={"b": "x=y"}', "in=null", 'tags=["x"]'):
        assert logged("todos_todo", "--context", condition) == [str(nested)]
    assert logged("todos_todo", "--context", "user_id__gt=3") == []


def test_blame_shows_who_set_each_field(history):
    lines = run("blame", "todos_todo", 5).splitlines()
    assert [line.split()[-2] for line in lines] == ["id", "task", "is_completed"]
    assert f"{history[0]} CREATE" in lines[0]
    assert f"{history[1]} UPDATE 2026-01-02 00:00:00 8" in lines[1]
    assert lines[1].endswith("task          b\\nc")


def test_blame_as_json(history):
    data = [json.loads(line) for line in run("blame", "todos.Todo", 5, "--json").splitlines()]
    assert [(item["field"], item["change"], item["is_certain"]) for item in data] == [
        ("id", str(history[0]), True),
        ("task", str(history[1]), True),
        ("is_completed", str(history[0]), True),
    ]  # fmt: skip
    assert data[1]["context"] == {"user_id": 8}


def test_blame_of_a_model_has_the_fields_of_its_parents_as_bemi_blame_has():
    key = "6f1a39cd-14dd-4b9c-93a3-7f2b73a2b0a4"
    store(table="todos_document", key=key, after={"id": key, "title": "x"})
    store(table="todos_specialdocument", key=key, after={"document_ptr_id": key, "level": 1})
    instance = SpecialDocument(pk=key, id=key)
    instance._state.adding = False
    shown = [json.loads(line) for line in run("blame", "todos.SpecialDocument", key, "--json").splitlines()]
    assert [(item["field"], item["change"]) for item in shown] == [
        (blame.field, str(blame.change.pk)) for blame in instance.bemi_blame()
    ]
    assert [item["field"] for item in shown] == ["id", "title", "document_ptr_id", "level"]
    assert len(run("blame", "todos_specialdocument", key).splitlines()) == 2


def test_blame_of_what_is_older_than_the_capture_says_so():
    store(key=5, operation="UPDATE", before=ROW, after=ROW | {"task": "b"})
    lines = run("blame", "todos_todo", 5).splitlines()
    assert lines[0].startswith("(before the first stored change)")


def test_blame_of_an_unknown_row_is_an_error():
    with pytest.raises(CommandError, match="Nothing is stored of todos_todo 5"):
        run("blame", "todos_todo", 5)


def test_colour_only_on_a_terminal_and_where_it_is_welcome(history, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = "log", "todos_todo", 5, "--no-pager"
    assert "\x1b[32m    + b\\nc\x1b[0m" in run(*words, stdout=Terminal())
    assert "\x1b" not in run("--no-color", *words, stdout=Terminal())
    assert "\x1b" in run("--force-color", *words)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run(*words, stdout=Terminal())


def test_pager_gets_what_a_terminal_would(history, monkeypatch, tmp_path):
    monkeypatch.setenv("PAGER", f"sh -c {shlex.quote(f'cat > {tmp_path}/out')}")
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("log", "todos_todo", 5, stdout=Terminal()) == ""
    assert (tmp_path / "out").read_text() == run("log", "todos_todo", 5)


def test_pager_that_is_left_early_ends_quietly(monkeypatch):
    monkeypatch.setenv("PAGER", "true")
    with paged(Terminal(), is_wanted=True) as write:
        write_all(write, ("x" * 1000 for _ in range(100_000)))


def test_reader_of_a_pipe_that_leaves_ends_it_quietly():
    """`bemi log TABLE | head`: neither now nor when Python flushes at its exit."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        with until_reader_leaves(stream):
            write_all(stream.write, ("x" * 1000 for _ in range(1_000)))
            pytest.fail("the pipe took it all")
        stream.write("more")


def test_values_cannot_steer_the_terminal():
    escape = "\x1b[2J\x9b\r"
    store(key="a" + escape, after={"id": 1, "task": escape}, context={"user_id": escape})
    for words in (("log",), ("blame",)):
        text = run(*words, "todos_todo", "a" + escape)
        assert set(text) & set(escape) <= set("[2J")
        assert "\\x1b[2J\\x9b\\r" in text


def test_json_of_values_that_json_has_no_form_for():
    store(table="todos_everything", key=1, after={"id": 1, "double": "NaN", "exact": 1, "span": "1 day"})
    for words in (("log",), ("blame",)):
        text = run(*words, "todos.Everything", 1, "--json")
        assert [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
        assert '"NaN"' in text


def test_pager_that_does_not_exist_is_done_without(monkeypatch):
    monkeypatch.setenv("PAGER", "/nowhere/pager")
    stream = Terminal()
    with paged(stream, is_wanted=True) as write:
        write("line")
    assert stream.getvalue() == "line\n"


def test_colours_span_no_line_end():
    paint = paint_for(Terminal(), no_color=False, force_color=True)
    assert paint("red", "a\nb") == "\x1b[31ma\x1b[0m\n\x1b[31mb\x1b[0m"
