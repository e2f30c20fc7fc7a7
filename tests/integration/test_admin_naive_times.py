"""Every page of the admin where `USE_TZ` is off, so that times of the database are local and naive."""

import pytest

from bemi_orm import Change
from tests.integration.admin_rig import ACTIVITY, LIST, TAIL
from tests.todos.models import TodoList

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.integration.admin_everything")]
HISTORY = "/admin/todos/todolist/1/history/"
DELETED = "/admin/todos/todolist/_deleted/"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize(
    "url",
    [
        LIST,
        f"{LIST}?date={{day}}",
        f"{LIST}?last=1h",
        f"{LIST}{{first}}/change/",
        ACTIVITY,
        f"{ACTIVITY}?last=7d",
        f"{ACTIVITY}?last=1h",
        TAIL,
        HISTORY,
        f"{HISTORY}?related=1",
        f"{HISTORY}log/",
        f"{HISTORY}compare/?from={{first}}&to={{second}}",
        f"{HISTORY}compare/?from={{time}}&to={{second}}",
        f"{HISTORY}as-of/",
        f"{HISTORY}as-of/?at={{time}}",
        f"{HISTORY}as-of/?at={{first}}",
        f"{HISTORY}revert/?to={{time}}",
        f"{HISTORY}revert/?to={{first}}",
        DELETED,
        f"{DELETED}2/",
    ],
)
def test_page(trail, boss, client, settings, zone, url):
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    todos = TodoList.objects.create(pk=1, name="home")
    time = trail.now()
    TodoList.objects.filter(pk=1).update(name="garden")
    TodoList.objects.create(pk=2, name="gone").delete()
    trail.drain()
    first, second = Change.objects.for_instance(todos).asc()
    words = {
        "first": first.pk,
        "second": second.pk,
        "time": f"{time:%Y-%m-%dT%H:%M:%S.%f}",
        "day": f"{time:%Y-%m-%d}",
    }
    response = client.get(url.format(**words))
    assert response.status_code == 200, response
    text = response.content.decode()
    if "compare" in url or "revert" in url:
        assert "garden" in text
        assert "home" in text
    elif "as-of" in url:
        assert ("home" if "at=" in url else "garden") in text
