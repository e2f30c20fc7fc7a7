"""An admin site of its own, with the history mixin on every shape of model; its name is not `admin`."""

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.urls import path, reverse

from bemi_orm.admin import BemiHistoryAdminMixin
from tests.todos.models import Document, SpecialDocument, Tag, Todo, TodoList

site = admin.AdminSite(name="office")


class TodoInline(admin.TabularInline):
    model = Todo
    fields = ("task", "is_completed", "price")
    extra = 0


@admin.register(TodoList, site=site)
class TodoListAdmin(BemiHistoryAdminMixin, admin.ModelAdmin):
    inlines = [TodoInline]

    def get_queryset(self, request):
        """Lists that are called secret are not for everybody."""
        rows = super().get_queryset(request)
        return rows if request.user.is_superuser else rows.exclude(name__startswith="secret")


@admin.register(Todo, site=site)
class TodoAdmin(BemiHistoryAdminMixin, admin.ModelAdmin):
    fieldsets = [
        (None, {"fields": ["task", ("is_completed", "price"), "shout"]}),
        ("More", {"fields": ["list", "tags", "meta", "updated_at"]}),
    ]
    readonly_fields = ("updated_at", "shout")

    @admin.display(description="Loud")
    def shout(self, todo):
        return todo.task.upper()

    def get_urls(self):
        return [
            path("<path:object_id>/hello/", self.admin_site.admin_view(self.history_view), name="hello"),
            *super().get_urls(),
        ]


@admin.register(Tag, Document, SpecialDocument, site=site)
class PlainAdmin(BemiHistoryAdminMixin, admin.ModelAdmin):
    pass


@admin.register(User, site=site)
class PeopleAdmin(BemiHistoryAdminMixin, UserAdmin):
    change_list_template = "admin/change_list.html"


urlpatterns = [path("office/", site.urls)]


def address(name, *keys, **query):
    """Give the address of a page of this site: `address("todos_todo_history", 5)`."""
    return reverse(
        f"admin:{name}", args=[quote(str(key)) for key in keys], current_app=site.name, query=query
    )


def staff(*permissions, **fields):
    """Give a user of the site who has these permissions, such as `todos.view_todo`."""
    user = User.objects.create_user(**{"username": "staff", "is_staff": True, **fields})
    names = [permission.split(".")[1] for permission in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    assert user.user_permissions.count() == len(names)
    return user
