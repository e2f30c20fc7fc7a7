"""Run by tests/acceptance/test_custom_user.py, as settings are those of a process."""

import pytest
from django.urls import reverse

from bemi_orm import Change
from tests.custom_users.models import Colleague, Person
from tests.integration.travels import Trail
from tests.todos.models import TodoList

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trail(settings):
    trail = Trail(settings)
    trail.open()
    yield trail
    trail.close()


@pytest.fixture
def boss(client):
    boss = Person.objects.create_superuser("boss@example.org")
    client.force_login(boss)
    return boss


def page(client, name, *keys, **query):
    response = client.get(reverse(f"admin:{name}", args=keys), query, follow=True)
    assert response.status_code == 200, name
    return response.content.decode()


def test_pages_name_users_by_their_own_name(client, trail, boss):
    assert client.post(reverse("admin:todos_todolist_add"), {"name": "Groceries"}).status_code == 302
    trail.drain()
    [made] = TodoList.objects.all()
    change = Change.objects.by_user(boss).for_model(TodoList).get()
    assert change.context["user_id"] == str(boss.pk)
    for name, *keys in [
        ("bemi_orm_change_changelist",), ("bemi_orm_change_change", change.pk), ("bemi_orm_change_activity",),
        ("todos_todolist_history", made.pk),
    ]:  # fmt: skip
        assert "boss@example.org" in page(client, name, *keys), name
    assert "Groceries" in page(client, "bemi_orm_change_changelist", user=boss.pk)


@pytest.mark.parametrize("model", [Person, Colleague])
def test_users_have_a_history_themselves(client, trail, boss, model):
    name = f"custom_users_{model._meta.model_name}"
    friend = model.objects.create(email="friend@example.org", password="hash of old")
    Person.objects.filter(pk=friend.pk).update(email="fellow@example.org")
    trail.drain()
    assert "friend@example.org" in page(client, f"{name}_history", friend.pk)
    made = Change.objects.for_instance(friend).created().get()
    assert "friend@example.org" in page(client, f"{name}_history_as_of", friend.pk, at=made.pk)
    revert = f"{reverse(f'admin:{name}_history_revert', args=[friend.pk])}?to={made.pk}"
    wanted = {"chosen": "email", "on_conflict": "raise", "until": Change.objects.desc()[0].pk}
    assert client.post(revert, wanted).status_code == 302
    assert model.objects.get(pk=friend.pk).email == "friend@example.org"
    key = friend.pk
    friend.delete()
    trail.drain()
    assert str(key) in page(client, f"{name}_deleted")
    restore = reverse(f"admin:{name}_restore", args=[key])
    assert client.post(restore, {"missing_parents": "conflict"}).status_code == 302
    assert model.objects.get(pk=key).password == "hash of old"
