"""Addresses that nobody clicks on: no page of the admin answers them with an error of the server."""

import pytest
from django.contrib.auth.models import User

from tests.integration.history_site import address
from tests.integration.rows import row_image, store
from tests.todos.models import Tag, Todo

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.history_site")]

TEXTS = (
    "\0", "x" * 5_000, "'\"\\%_", "9999-12-31T23:59:59.5", "0001-01-01T00:00:00+14:00", "0001-01-01", "9999",
    "9" * 400, "-1", "99999999999999999999.1", "1.99999999999999999999", "9999999999999999999d", "5000000h",
    "1e400", "٢٠٢٦", "²", "a.b" + ".c" * 1_990 + "=1", "=", "older." + "f" * 32, "newer.{}",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)  # fmt: skip

HISTORY = {
    "todos_todo_history": ("older", "related"),
    "todos_todo_history_compare": ("from", "to"),
    "todos_todo_history_as_of": ("at",),
    "todos_todo_history_revert": ("to",),
}


@pytest.fixture
def root(client, settings):
    root = User.objects.create_superuser("root")
    client.force_login(root)
    return client


@pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("name", HISTORY)
def test_history(root, settings, name, zone):
    settings.TIME_ZONE = zone
    todo = Todo.objects.create(task="milk")
    first = store(key=todo.pk, after=row_image(todo))
    for word in HISTORY[name]:
        for text in TEXTS:
            query = {"from": first, "to": first, word: text}
            status = root.get(address(name, todo.pk, **query)).status_code
            assert status in (200, 302, 400, 403, 404), (word, text, status)


def test_deleted(root):
    for text in TEXTS:
        assert root.get(address("todos_todo_deleted", p=text)).status_code in (200, 404), text


@pytest.mark.parametrize("page", ["history", "history_compare", "history_as_of", "history_revert", "restore"])
def test_keys_that_no_row_can_have(root, page):
    for key in ("\0", "x" * 3_000, "%", "a/../b"):
        assert root.get(address(f"todos_tag_{page}", key)).status_code in (302, 404), key
    for key in ("x", "9" * 400, "-1", "1.5", "\0"):
        assert root.get(address(f"todos_todo_{page}", key)).status_code in (302, 404), key
    assert not Tag.objects.exists()


@pytest.mark.urls("tests.todos.urls")
@pytest.mark.parametrize(
    "word", ["q", "p", "table", "operation", "user", "last", "date", "key", "transaction", "o"]
)
def test_changes(root, settings, word):
    settings.TIME_ZONE = "Pacific/Kiritimati" if word == "date" else "America/New_York"
    store(context={"user_id": 1})
    for text in TEXTS:
        response = root.get("/admin/bemi_orm/change/", {word: text}, follow=True)
        assert response.status_code == 200, text


@pytest.mark.urls("tests.todos.urls")
def test_activity(root):
    for text in TEXTS:
        assert root.get("/admin/bemi_orm/change/activity/", {"last": text}).status_code == 200, text
        url = f"/admin/bemi_orm/change/{text.encode().hex()}/change/"
        assert root.get(url).status_code == 302
