"""The history of rows whose model has changed since: columns gone, new, and of another type."""

from itertools import pairwise

import pytest
from django.contrib.auth.models import User

from tests.integration.admin_rig import LIST, page, root
from tests.integration.history_site import address
from tests.integration.rows import row_image, store
from tests.todos.models import Todo

pytestmark = pytest.mark.django_db
FORMER = (
    {"id": 1},
    {"id": 1, "task": 5, "gone": {"a": [1]}, "price": "abc", "updated_at": 7, "list_id": "x-y", "meta": None},
    {"id": 1, "task": ["x"], "is_completed": 3, "price": {"a": 1}, "updated_at": "infinity", "list_id": [1]},
)


@pytest.mark.parametrize("image", FORMER)
def test_page_of_a_change(image):
    client = root()
    for operation in ("CREATE", "UPDATE", "DELETE"):
        sides = {"before": image} if operation == "DELETE" else {"after": image}
        change = store(key=1, operation=operation, **sides)
        assert "todos_todo" in page(client, f"{LIST}{change}/change/")
    assert "Todo" in page(client, LIST)


@pytest.mark.urls("tests.integration.history_site")
def test_pages_of_an_object(client):
    client.force_login(User.objects.create_superuser("root"))
    todo = Todo.objects.create(task="milk")
    images = [{**image, "id": todo.pk} for image in FORMER] + [row_image(todo)]
    ids = [store(key=todo.pk, after=images[0])]
    for old, new in pairwise(images):
        ids.append(store(key=todo.pk, operation="UPDATE", before=old, after=new))
    response = client.get(address("todos_todo_history", todo.pk))
    assert len(response.context["timeline"].entries) == len(ids)
    for first in ids:
        query = {"from": first, "to": ids[-1]}
        assert client.get(address("todos_todo_history_compare", todo.pk, **query)).status_code == 200
        response = client.get(address("todos_todo_history_revert", todo.pk, to=first), follow=True)
        assert response.status_code == 200
    plan = client.get(address("todos_todo_history_revert", todo.pk, to=ids[1]), follow=True).content.decode()
    assert "the type of a column stands in the way" in plan


@pytest.mark.urls("tests.integration.history_site")
def test_objects_that_are_gone(client):
    client.force_login(User.objects.create_superuser("root"))
    for key, image in enumerate(FORMER, 1_000):
        store(key=key, operation="DELETE", before={**image, "id": key})
    assert len(client.get(address("todos_todo_deleted")).context["rows"]) == len(FORMER)
    for key in (1_000, 1_001, 1_002):
        response = client.post(address("todos_todo_restore", key))
        assert response.status_code == 409
        assert ("the type of a column stands in the way" in response.content.decode()) is (key > 1_000)
    assert not Todo.objects.exists()
