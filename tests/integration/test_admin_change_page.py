"""The page of one change in the admin: its diff, its context, and where it leads."""

import pytest
from django.contrib.auth.models import User

from bemi_orm.admin.lines import MAX_TEXT_LENGTH
from tests.integration.admin_rig import LIST, count_queries, page, reader, root, text_of
from tests.integration.rows import store

pytestmark = pytest.mark.django_db
ROW = {"id": 5, "list_id": None, "task": "milk", "is_completed": False, "price": 1.10, "meta": {"a": [1]}}


def change_page(change, client=None):
    return page(client or reader(), f"{LIST}{change}/change/")


def test_b_q1_an_update_shows_both_sides_and_what_stayed_the_same():
    change = store(
        key=5,
        operation="UPDATE",
        before=ROW,
        after=ROW | {"task": "oat milk", "list_id": 3, "meta": {"a": [2]}},
    )
    text = text_of(change_page(change))
    assert "List list_id - empty (NULL) + 3" in text
    assert "Task task - milk + oat milk" in text
    assert 'Meta meta - { "a": [ 1 ] } + { "a": [ 2 ] }' in text
    assert (
        "3 fields stayed the same Fields that stayed the same Field Value ID 5 Is completed false Price 1.1"
        in text
    )


def test_b_q6_what_the_log_did_not_carry_is_not_known():
    change = store(key=5, operation="UPDATE", before={"id": 5}, after={"id": 5, "task": "milk"})
    assert "Task task - not known + milk" in text_of(change_page(change))


@pytest.mark.parametrize(
    ("operation", "side", "text"),
    [
        ("CREATE", "after", "Task task no row + milk"),
        ("SNAPSHOT", "after", "Task task no row + milk"),
        ("DELETE", "before", "Task task - milk no row"),
    ],
)
def test_p23_a_row_that_came_or_went_has_one_side(operation, side, text):
    change = store(key=5, operation=operation, **{side: ROW})
    assert text in text_of(change_page(change))


def test_a_truncate_has_a_page():
    change = store(key=None, operation="TRUNCATE")
    text = text_of(change_page(change))
    assert "Table emptied" in text
    assert "No field changed." in text
    assert "All changes with this key" not in text


def test_a_value_of_any_size_is_cut_and_says_so():
    change = store(
        key=5, after={"task": "x" * (MAX_TEXT_LENGTH + 1)}, context={"note": "y" * (MAX_TEXT_LENGTH + 1)}
    )
    markup = change_page(change)
    assert "… and 1 more character" in markup
    assert "x" * (MAX_TEXT_LENGTH + 1) not in markup
    assert "y" * (MAX_TEXT_LENGTH + 1) not in markup


def test_each_value_of_the_context_leads_to_its_like():
    context = {
        "user_id": 7,
        "request": {"path": "/a b?c=d&e", "tags": ["x"]},
        "note": None,
        "empty": {},
        "a.b": 1,
    }
    markup = change_page(store(key=5, after=ROW, context=context))
    assert f'href="{LIST}?q=user_id%3D7"' in markup
    assert f'href="{LIST}?q=request.path%3D%2Fa%20b%3Fc%3Dd%26e">/a b?c=d&amp;e</a>' in markup
    text = text_of(markup)
    assert 'request.tags ["x"]' in text
    assert "note null" in text
    assert "q=a.b" not in markup
    assert "empty {}" in text
    assert "came from outside" in text_of(change_page(store(key=5, after=ROW), reader("other")))


def test_it_leads_to_the_object_its_history_and_its_user_where_these_may_be_seen():
    alice = User.objects.create_user("alice")
    change = store(table="auth_user", key=alice.pk, after={"id": alice.pk}, context={"user_id": alice.pk})
    own_page, history = (
        f'href="/admin/auth/user/{alice.pk}/change/"',
        f'href="/admin/auth/user/{alice.pk}/history/"',
    )
    markup = change_page(change, root())
    assert markup.count(own_page) == 2
    assert history in markup
    stranger = change_page(change)
    assert own_page not in stranger
    assert history not in stranger
    assert "alice" in stranger
    alice.delete()
    assert own_page not in change_page(change, reader("other", "view_user"))


def test_it_leads_to_the_row_the_table_the_transaction_and_the_user():
    change = store(table="todos_tag", key="a&b", after={"code": "a&b"}, context={"user_id": "x&y"})
    markup = change_page(change)
    for query in ("table=todos_tag&amp;key=a%26b", "table=todos_tag", f"transaction={change}", "user=x%26y"):
        assert f'href="{LIST}?{query}"' in markup


def test_p16_a_deleted_user_stays_readable(settings):
    store(
        table="auth_user",
        key=36,
        operation="DELETE",
        before={"id": 36, "username": "zoe", "email": "z@x.org"},
    )
    change = store(key=5, after=ROW, context={"user_id": 36})
    named = store(key=5, after=ROW, context={"user_id": 37, "user": "yann"})
    client = reader()
    assert "Who deleted user 36 (zoe)" in text_of(change_page(change, client))
    assert "Who deleted user 37 (yann)" in text_of(change_page(named, client))
    assert "Who deleted user 38 All" in text_of(change_page(store(context={"user_id": 38}), client))
    settings.BEMI_MASKED = {"auth.User": ["username"], "context": ["user"]}
    assert "Who deleted user 36 All" in text_of(change_page(change, client))
    assert "Who deleted user 37 All" in text_of(change_page(named, client))
    User.objects.create_user("alice", pk=40)
    assert "Who user 40" in text_of(change_page(store(context={"user_id": 40}), client))


@pytest.mark.parametrize("key", [True, [1], {"a": 1}, 10**30, "", "zoë", 1.5])
def test_a_user_that_is_no_key_of_a_user_is_no_error(key):
    markup = change_page(store(key=5, after=ROW, context={"user_id": key}))
    assert "Context" in markup


def test_the_password_of_users_is_masked_by_default():
    change = store(
        table="auth_user", key=1, operation="UPDATE",
        before={"id": 1, "password": "pbkdf2$old"}, after={"id": 1, "password": "pbkdf2$new"},
    )  # fmt: skip
    markup = change_page(change)
    assert "pbkdf2" not in markup
    assert "Password password - masked + masked" in text_of(markup)
    same = store(
        table="auth_user", key=1, operation="UPDATE", before={"password": "x"}, after={"password": "x"}
    )
    assert "Password masked" in text_of(change_page(same, reader("other")))
    assert "pbkdf2$new" in change_page(change, reader("auditor", "view_masked"))


def test_a_change_that_is_not_there_is_said_to_be_missing():
    client = reader()
    for key in ("7", "nonsense", "00000000-0000-8000-8000-000000000000", "_00"):
        response = client.get(f"{LIST}{key}/change/", follow=True)
        assert response.redirect_chain[-1][0] == LIST
        assert "There is no such change, or you may not see it." in response.content.decode()


def test_the_number_of_queries_does_not_depend_on_what_the_change_holds():
    user = User.objects.create_user("alice")
    small = store(table="auth_user", key=user.pk, after={"id": user.pk}, context={"user_id": 99})
    large = store(
        table="auth_user", key=user.pk, operation="UPDATE", before={"id": user.pk},
        after={"id": user.pk, **{f"c{number}": number for number in range(90)}},
        context={"user_id": 98, **{f"k{number}": number for number in range(90)}},
    )  # fmt: skip
    client = reader("auditor", "view_user")
    few = count_queries(client, f"{LIST}{small}/change/")
    assert count_queries(client, f"{LIST}{large}/change/") == few <= 9
