"""The history pages of an object in a real browser, under a strict Content-Security-Policy."""

import pytest
from django.contrib.auth.models import User

from bemi_orm import Change, context
from tests.acceptance import browser as chromium
from tests.acceptance.site import eventually
from tests.integration.history_site import address
from tests.integration.travels import Trail
from tests.todos.models import Tag, Todo, TodoList

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.integration.history_site"),
    pytest.mark.skipif(chromium.MISSING is not None, reason=str(chromium.MISSING)),
]

EVIL = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'><b>{{ 7 }}"


@pytest.fixture
def browser(chrome):
    chrome.driver.implicitly_wait(20)  # seconds for the page after a click
    yield chrome
    chrome.reset()


@pytest.fixture
def site(settings, strict_server, browser, client):
    """A list that was deleted and one that is there, whose every text is hostile; and their addresses."""
    trail = Trail(settings)
    trail.open()
    boss = User.objects.create_superuser(f"boss {EVIL}"[:150], "boss@example.org", "secret")
    with context(user_id=boss.pk, path=EVIL, method=EVIL, **{EVIL: {EVIL: EVIL}}):
        site = Site(strict_server, trail)
    client.force_login(boss)
    browser.log_in(strict_server, client)
    yield site
    trail.close()


class Site:
    def __init__(self, url, trail):
        self.url, self.trail = url, trail
        self.list = TodoList.objects.create(name=EVIL[:100])
        self.todo = Todo.objects.create(list=self.list, task="milk", meta={EVIL: [EVIL]}, price="1.00")
        self.todo.tags.add(Tag.objects.create(code="a&lt;b"))
        for task, price in ((EVIL, "2.00"), ("eggs", "3.00")):
            self.todo.task, self.todo.price = task, price
            self.todo.save()
        gone = TodoList.objects.create(name=f"gone {EVIL}"[:100])
        Todo.objects.create(list=gone, task=EVIL)
        self.gone = gone.pk
        gone.delete()
        trail.drain()
        self.changes = [str(change.pk) for change in self.todo.bemi_history()]

    def at(self, name, *keys, **query):
        return self.url + address(name, *keys, **query)

    def pages(self):
        key, (first, evil, _last) = self.todo.pk, self.changes
        return {
            "timeline": self.at("todos_todo_history", key, related=1),
            "compare": self.at("todos_todo_history_compare", key, **{"from": first, "to": evil}),
            "as-of": self.at("todos_todo_history_as_of", key, at=evil),
            "as-of-inlines": self.at("todos_todolist_history_as_of", self.list.pk),
            "as-of-gone": self.at("todos_todolist_history_as_of", self.gone),
            "revert": self.at("todos_todo_history_revert", key, to=evil),
            "deleted": self.at("todos_todolist_deleted"),
            "restore": self.at("todos_todolist_restore", self.gone),
            "gone": self.at("todos_todolist_history", self.gone, related=1),
            "list": self.at("todos_todolist_changelist"),
        }


@pytest.mark.parametrize("language", ["en", "ar"])
def test_hostile_texts_are_only_shown_and_pages_fit_a_phone(site, browser, language):
    browser.speak(language)
    for name, url in site.pages().items():
        for width in (1280, 390):
            browser.look(width=width, is_dark=width == 390)
            browser.get(url)
            assert browser.problems() == [], name
            assert browser.run("return window.hacked") is None, name
            assert browser.run("return document.querySelectorAll('img[src=x]').length") == 0, name
            assert browser.run("return document.documentElement.dir") == (
                "rtl" if language == "ar" else "ltr"
            )
            assert width > 1000 or browser.overflow() == 0, name
        if name not in ("list", "revert"):
            assert "<script>" in browser.text(), name
    browser.get(site.pages()["timeline"])
    browser.run("document.querySelectorAll('details').forEach(part => { part.open = true })")
    assert browser.overflow() == 0
    assert browser.problems() == []


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_assistive_technology_finds_names_tables_and_contrast(site, browser, is_dark):
    browser.look(is_dark=is_dark)
    for name, url in site.pages().items():
        if name != "list":  # that is Django's
            browser.get(url)
            assert not browser.faults(), name


def test_two_moments_are_chosen_and_compared_by_the_keyboard(site, browser):
    browser.get(site.at("todos_todo_history", site.todo.pk))
    start, end = (
        browser.driver.find_element("css selector", f"input[name={name}]:checked") for name in ("from", "to")
    )
    start.send_keys("\ue015")  # arrow down: from the second newest to the oldest
    end.send_keys("\ue007")  # enter
    eventually(lambda: {"milk", "eggs"} <= set(browser.text().split()), "both moments are shown")
    assert browser.problems() == []


def test_slider_shows_each_moment_without_leaving_the_page(site, browser):
    browser.get(site.at("todos_todo_history_as_of", site.todo.pk))
    slider = browser.driver.find_element("id", "bemi-slider")
    assert slider.get_attribute("aria-valuetext")
    browser.run("window.stayed = true")
    assert "eggs" in browser.text()
    slider.send_keys("\ue012\ue012")  # arrow left, twice
    eventually(lambda: "milk" in browser.text(), "the oldest moment is shown")
    assert browser.run("return window.stayed")
    assert site.changes[0] in browser.driver.current_url
    assert browser.problems() == []


def test_moments_can_be_chosen_without_scripts(site, browser):
    browser.set_script(is_on=False)
    try:
        browser.get(site.at("todos_todo_history_as_of", site.todo.pk))
        browser.click("css selector", f"option[value='{site.changes[0]}']")
        browser.follow("css selector", ".bemi-bar button", 1)
        assert "milk" in browser.driver.find_element("css selector", "[data-bemi-past]").text
    finally:
        browser.set_script(is_on=True)


def test_chosen_field_is_reverted_and_a_deleted_object_restored(site, browser):
    browser.get(site.at("todos_todo_history", site.todo.pk))
    browser.follow("partial link text", "Revert to this", -1)
    browser.click("css selector", "input[name=chosen][value=price]")
    browser.follow("css selector", "input[type=submit].default")
    assert "Reverted Task and Tags to" in browser.text()
    live = Todo.objects.get(pk=site.todo.pk)
    assert (live.task, str(live.price)) == ("milk", "3.00")
    browser.get(site.at("todos_todolist_changelist"))
    browser.follow("css selector", ".object-tools a[href*=_deleted]")
    browser.follow("partial link text", "Restore")
    browser.click("name", "with_children")
    browser.follow("css selector", "input[type=submit].default")
    assert "is restored" in browser.text()
    assert TodoList.objects.get(pk=site.gone).todos.count() == 1
    assert browser.problems() == []
    site.trail.drain()
    reverts = Change.objects.filter(context__has_key="_bemi_reverts")
    assert reverts.count() == 4  # of the task and a tag; of the list and its todo
