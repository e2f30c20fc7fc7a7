"""Who may see what, and what is hidden from whom."""

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User

from bemi_orm import Change
from bemi_orm.access import MASKED, Access, Masks, access
from bemi_orm.accesschecks import check_access, check_masked
from bemi_orm.diffing import UNKNOWN, FieldChange
from bemi_orm.exceptions import ConfigurationError
from bemi_orm.revert.steps import ColumnEffect, Conflict, ConflictKind, Culprit, Effect, Step, TableName
from tests.integration.rows import START, store
from tests.todos.models import SpecialDocument, Todo

pytestmark = pytest.mark.django_db


class OnlyTodos(Access):
    def scope(self, user, changes):
        return changes.filter(table="todos_todo")


def user_with(*permissions, **flags):
    user = User.objects.create(username="u", **({"is_staff": True} | flags))
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.mark.parametrize(
    ("permissions", "flags", "may_view", "may_revert"),
    [
        ([], {}, False, False),
        (["view_change"], {}, True, False),
        (["revert_change"], {}, False, False),
        (["view_change", "revert_change"], {}, True, True),
        (["view_change", "revert_change"], {"is_staff": False}, False, False),
        (["view_change", "revert_change"], {"is_active": False}, False, False),
        ([], {"is_superuser": True}, True, True),
        ([], {"is_superuser": True, "is_active": False}, False, False),
    ],
)
def test_closed_unless_staff_has_the_permission(permissions, flags, may_view, may_revert):
    user = user_with(*permissions, **flags)
    assert (Access().may_view(user), Access().may_revert(user)) == (may_view, may_revert)


def test_nobody_may_nothing():
    assert not Access().may_view(AnonymousUser())
    assert not Access().may_revert(AnonymousUser())
    assert Access().masked(AnonymousUser())


def test_access_of_the_project(settings):
    assert type(access()) is Access
    settings.BEMI_ACCESS = f"{__name__}.OnlyTodos"
    store(table="todos_tag", key="a")
    mine = store(table="todos_todo", key=1)
    assert [change.pk for change in access().scope(None, Change.objects.all())] == [mine]


@pytest.mark.parametrize("path", ["nowhere.Access", "bemi_orm.access.Nothing", "bemi_orm.access.access", "x"])
def test_access_that_is_none_is_refused_and_checked(settings, path):
    settings.BEMI_ACCESS = path
    with pytest.raises(ConfigurationError, match="BEMI_ACCESS"):
        access()
    assert [error.id for error in check_access(None)] == ["bemi_orm.E005"]


def test_permissions_exist():
    found = set(
        Permission.objects.filter(content_type__app_label="bemi_orm").values_list("codename", flat=True)
    )
    assert found == {"view_change", "revert_change", "view_masked"}


def test_password_is_masked_by_default_but_for_who_has_the_permission():
    masks = Access().masked(user_with("view_change"))
    assert masks.columns_of("public", "auth_user") == {"password"}
    assert masks.image("public", "auth_user", {"id": 1, "password": "x"}) == {"id": 1, "password": MASKED}
    assert masks.image("public", "todos_todo", {"password": "x"}) == {"password": "x"}


@pytest.mark.parametrize(("flags", "permissions"), [({}, ["view_masked"]), ({"is_superuser": True}, [])])
def test_who_may_see_masked_values_does(flags, permissions):
    assert not Access().masked(user_with(*permissions, **flags))


@pytest.mark.parametrize(
    ("setting", "place", "columns"),
    [
        ({"todos.Todo": ["list"]}, ("public", "todos_todo"), {"list_id"}),
        ({"todos.Todo": ["list_id"]}, ("any", "todos_todo"), {"list_id"}),
        ({"todos.SpecialDocument": ["title"]}, ("public", "todos_document"), {"title"}),
        ({"todos.SpecialDocument": ["title"]}, ("public", "todos_specialdocument"), set()),
        ({"salary": ["amount"]}, ("payroll", "salary"), {"amount"}),
        ({"payroll.salary": ["amount"]}, ("payroll", "salary"), {"amount"}),
        ({"payroll.salary": ["amount"]}, ("public", "salary"), set()),
        ({"payroll.salary": ["amount"]}, (None, "salary"), {"amount"}),
        ({"todos.Todo": ["gone"]}, ("public", "todos_todo"), {"gone"}),
        ({"context": ["ip"]}, ("public", "context"), set()),
    ],
)
def test_masks_by_field_and_column(setting, place, columns):
    assert Masks.from_setting(setting).columns_of(*place) == columns


def test_masks_count_under_former_names(settings):
    settings.BEMI_RENAMED = {"todos.Todo": {"tables": ["item"], "columns": {"title": "task"}}}
    masks = Masks.from_setting({"todos.Todo": ["task"]})
    for table in ("item", "todos_todo"):
        assert masks.columns_of("public", table) == {"task", "title"}


def test_filter_by_a_masked_column_is_an_oracle():
    masks = Masks.from_setting({"todos.Todo": ["task"], "x.secrets": ["value"]})
    assert masks.names("task")
    assert masks.names("task", "todos_todo")
    assert masks.names("value", "secrets")
    assert not masks.names("task", "todos_tag")
    assert not masks.names("price")


def test_masked_keys_of_the_context_at_any_depth():
    masks = Masks.from_setting({"context": ["ip", "request.token"]})
    context = {"ip": "10.0.0.1", "request": {"token": "t", "path": "/"}, "user_id": 1}
    shown = masks.context(context)
    assert shown == {"ip": MASKED, "request": {"token": MASKED, "path": "/"}, "user_id": 1}
    assert context["request"]["token"] == "t"
    assert masks.context({"request": "a text"}) == {"request": "a text"}
    assert masks.context({}) == {}
    named = [
        path
        for path in ("ip", "ip.v4", "request", "request.token", "request.path", "i")
        if masks.names_key(path)
    ]
    assert named == ["ip", "ip.v4", "request", "request.token"]
    assert masks.context({"request.token": "t", "ip": 1}) == {"request.token": MASKED, "ip": MASKED}
    assert masks.context({"request": [{"token": "t"}]}) == {"request": MASKED}
    assert masks.names_key("request.0.token")
    assert not masks.names_key("request.0path")


def test_diff_tells_that_a_masked_field_changed_but_not_its_values():
    masks = Masks.from_setting({"todos.Todo": ["task", "list"]})
    store(
        key=1, operation="UPDATE", before={"id": 1, "task": "a"}, after={"id": 1, "task": None, "list_id": 3}
    )
    store(key=1, operation="DELETE", before={"id": 1, "task": "b"})
    updated, deleted = Change.objects.all()
    assert masks.diff(updated, updated.diff()) == (
        FieldChange("list_id", UNKNOWN, MASKED),
        FieldChange("task", MASKED, MASKED),
    )
    assert FieldChange("task", MASKED, None) in masks.diff(deleted, deleted.diff())


def test_plan_is_masked():
    masks = Masks.from_setting({"todos.Todo": ["task"], "context": ["ip"]})
    table = TableName("public", "todos_todo")
    effects = (ColumnEffect("task", "new", "old"), ColumnEffect("price", 1, 2))
    step = Step(table, "1", Effect.UPDATE, effects, {"id": 1}, {"id": 1, "task": "new"}, {"task": "old"})
    shown = masks.step(step)
    assert shown.columns == (ColumnEffect("task", MASKED, MASKED), ColumnEffect("price", 1, 2))
    assert (shown.expected, shown.target) == ({"id": 1, "task": MASKED}, {"task": MASKED})
    culprit = Culprit(store(), {"ip": "10.0.0.1", "user_id": 1}, START)
    conflict = masks.conflict(Conflict(ConflictKind.ROW_GONE, table, "1", by=(culprit,)))
    assert conflict.by[0].context == {"ip": MASKED, "user_id": 1}


def test_field_of_a_parent_is_hidden_in_the_child():
    masks = Masks.from_setting({"todos.SpecialDocument": ["title"]})
    hidden = [field.name for field in SpecialDocument._meta.concrete_fields if masks.hides(field)]
    assert hidden == ["title"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"todos.Nothing": ["x"]}, "no model todos.Nothing"),
        ({"todos.Todo": ["tsak"]}, "no field 'tsak'"),
        ({"todos.Todo": ["tags"]}, "no field 'tags'"),
        ({"todos.Todo": ["id"]}, "key of todos.Todo"),
        ({"todos.Todo": ["pk"]}, "key of todos.Todo"),
        ({"todos.Seat": ["row"]}, "key of todos.Seat"),
        ({"todos_todo": ["id"]}, "key of todos.Todo"),
        ({"public.todos_tag": ["code"]}, "key of todos.Tag"),
        ({"todos.Todo": "task"}, "not a list"),
        ({"context": [1]}, "not a list"),
    ],
)
def test_setting_that_hides_nothing_is_an_error(settings, setting, words):
    settings.BEMI_MASKED = setting
    [error] = check_masked(None)
    assert error.id == "bemi_orm.E006"
    assert words in error.msg


def test_setting_that_is_right_passes(settings):
    assert check_masked(None) == []
    settings.BEMI_MASKED = {Todo._meta.label: ["task"], "a.b": ["c"], "t": ["c"], "context": ["ip"]}
    assert check_masked(None) == []
