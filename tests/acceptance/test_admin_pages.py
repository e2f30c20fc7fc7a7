"""The pages of the trail in a real browser: under a strict policy, at two widths, in both directions."""

from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils.timezone import now
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.acceptance import browser as chromium
from tests.acceptance.site import eventually
from tests.integration.admin_rig import ACTIVITY, LIST, TAIL, client_of
from tests.integration.rows import store

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(chromium.MISSING is not None, reason=str(chromium.MISSING)),
]


def hostile(place):
    """Give a text that would leave a mark if it were ever more than text."""
    mark = f"window.owned='{place}'"
    return f"""'"><script>{mark}</script><img src=x onerror="{mark}">{{{{ 7 }}}} &amp;"""


# Timers run a hundred times as fast, and requests of the page's script are counted.
HURRY = """
const timeout = window.setTimeout;
window.setTimeout = (what, milliseconds) => timeout(what, milliseconds / 100);
const ask = window.fetch;
window.asked = 0;
window.fetch = (...words) => { window.asked += 1; return ask(...words); };
"""


@pytest.fixture
def trail():
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE changes")


@pytest.fixture
def browser(chrome, strict_server, trail):
    user = User.objects.create_superuser("root")
    chrome.log_in(strict_server, client_of(user))
    yield chrome
    chrome.reset()


def fill():
    """Store some changes of every kind, and give the ids of those with a page worth a look."""
    alice = User.objects.create_user("alice")
    context = {"user_id": alice.pk, "method": "PATCH", "path": "/todos/5/", "request": {"agent": "curl"}}
    row = {"id": 5, "list_id": None, "task": "Buy milk", "is_completed": False, "meta": {"a": [1, 2]}}
    new = row | {"task": "Buy oat milk", "is_completed": True, "meta": {"a": [1, 3]}, "list_id": 2}
    stored = {"committed_at": now(), "context": context}
    store(table="todos_tag", key=None, operation="TRUNCATE", committed_at=now())
    return [
        store(key=5, after=row, **stored),
        store(key=5, operation="DELETE", before=row, **stored),
        store(key=5, operation="UPDATE", before=row, after=new, **stored),
    ]


def pages(ids):
    return [LIST, f"{LIST}?user=1&last=7d&q=5", ACTIVITY, *(f"{LIST}{change}/change/" for change in ids)]


def store_hostile():
    """Store a change of a table that has a model, and of one that has none; every text of them is hostile."""
    user = User.objects.create_user(hostile("user"))
    fields = {
        hostile("column"): hostile("value"),
        "task": hostile("task"),
        "meta": {hostile("a"): hostile("json")},
    }
    context = {hostile("name"): hostile("context"), "deep": {hostile("deep"): [hostile("list")]}}
    place = {"user_id": user.pk, "method": hostile("method"), "path": hostile("path")}
    known = store(
        key=hostile("pk"), previous=hostile("old"), operation="UPDATE", before={"task": "a"}, after=fields,
        context=context | place, committed_at=now(),
    )  # fmt: skip
    unknown = store(
        table=hostile("table"), schema=hostile("schema"), key=hostile("key"), after=fields,
        context={"user_id": hostile("nobody"), "user": hostile("gone")}, committed_at=now(),
    )  # fmt: skip
    return known, unknown


def test_hostile_values_are_text_on_every_page(browser, strict_server):
    known, unknown = store_hostile()
    query = urlencode({"table": hostile("parameter"), "q": hostile("search"), "last": hostile("period")})
    expected = {
        LIST: "user method task column pk old table gone",
        f"{LIST}?{query}": "parameter period",
        f"{LIST}{known}/change/": "user path column value task json name context deep list",
        f"{LIST}{unknown}/change/": "table schema key column value nobody gone",
        f"{ACTIVITY}?{query}": "user table task gone",
        TAIL: "user table task gone",
    }
    browser.ignore_policy(is_on=True)
    for path, places in expected.items():
        browser.get(strict_server + path)
        assert browser.run("return window.owned") is None, path
        assert browser.run("return document.querySelectorAll('img[src=x], [onerror]').length") == 0, path
        assert browser.problems() == [], path
        text = browser.run("return document.body.textContent")
        for place in places.split():
            assert f"<script>window.owned='{place}'" in text, (path, place)
    browser.run("document.body.insertAdjacentHTML('beforeend', arguments[0])", hostile("markup"))
    eventually(lambda: browser.run("return window.owned") == "markup", "what is not escaped does run")


def test_pages_keep_a_strict_policy_and_fit_a_phone_and_a_desktop_in_both_directions(browser, strict_server):
    ids = fill()
    for language, direction in (("en", "ltr"), ("ar", "rtl")):
        browser.speak(language)
        for width in (390, 1280):
            browser.look(width=width)
            for path in pages(ids[2:]):
                browser.get(strict_server + path)
                assert browser.run("return document.documentElement.dir") == direction
                assert browser.overflow() <= 0, (path, width, language)
                assert browser.problems() == [], path
    assert "default-src 'self'" in browser.run(
        "return fetch(location.href).then(answer => answer.headers.get('Content-Security-Policy'))"
    )


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_assistive_technology_finds_names_tables_and_contrast(browser, strict_server, is_dark):
    ids = fill()
    browser.look(is_dark=is_dark)
    for path in pages(ids):
        browser.get(strict_server + path)
        assert not browser.faults(), path


def test_the_newest_changes_come_by_themselves_until_paused(browser, strict_server):
    fill()
    hurried = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": HURRY})
    try:
        browser.get(strict_server + ACTIVITY)
        assert "New changes appear by themselves." in browser.text()
        first = str(store(key=71, after={"id": 71}))
        eventually(lambda: first in rows(browser), "the change appears")
        pause = browser.driver.find_element(By.CSS_SELECTOR, "[data-bemi-pause]")
        pause.send_keys(Keys.ENTER)
        assert (pause.text, pause.get_attribute("aria-pressed")) == ("Go on", "true")
        second = str(store(key=72, after={"id": 72}))
        assert second not in rows(browser)
        pause.send_keys(Keys.SPACE)
        eventually(lambda: second in rows(browser), "it goes on")
        hide(browser, is_hidden=True)
        asked = eventually(lambda: quiet(browser), "a hidden page asks no more")
        third = str(store(key=73, after={"id": 73}))
        assert browser.run("return window.asked") == asked
        hide(browser, is_hidden=False)
        eventually(lambda: third in rows(browser), "a page that is looked at again does")
        browser.driver.delete_cookie("sessionid")
        eventually(lambda: "No answer from the server" in browser.text(), "the end of the session is told")
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", hurried)
        browser.problems()


def test_without_scripts_a_link_reloads(browser, strict_server):
    [*_, last] = fill()
    browser.set_script(is_on=False)
    browser.get(strict_server + ACTIVITY)
    assert not browser.driver.find_element(By.CSS_SELECTOR, "[data-bemi-pause]").is_displayed()
    assert shown(browser)[0] == str(last)
    newest = str(store(key=81, after={"id": 81}))
    browser.follow(By.CSS_SELECTOR, "[data-bemi-reload]")
    assert shown(browser)[0] == newest


def rows(browser):
    return browser.run("return [...document.querySelectorAll('tr[data-id]')].map(row => row.dataset.id)")


def shown(browser):
    found = browser.driver.find_elements(By.CSS_SELECTOR, "tr[data-id]")
    return [row.get_attribute("data-id") for row in found]


def hide(browser, *, is_hidden):
    browser.run(
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))",
        is_hidden,
    )


def quiet(browser):
    """Give how often the page has asked, once a request on its way has come back and none has followed."""
    return browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1], before = window.asked;"
        "window.setTimeout(() => done(window.asked === before ? before : null), 20000)"
    )
