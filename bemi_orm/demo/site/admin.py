"""The site's own admin: each list and todo with its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin

from bemi_orm.admin import BemiHistoryAdminMixin
from bemi_orm.demo.site.models import Todo, TodoList

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin, _TabularInline = admin.ModelAdmin, admin.TabularInline


class TodoInline(_TabularInline):
    """The todos of a list, on its own page."""

    model = Todo
    extra = 0


@admin.register(TodoList)
class TodoListAdmin(BemiHistoryAdminMixin, _ModelAdmin):
    """A list with its todos; its history has theirs, too."""

    inlines = [TodoInline]
    bemi_related = True


@admin.register(Todo)
class TodoAdmin(BemiHistoryAdminMixin, _ModelAdmin):
    """A todo."""

    list_display = ("task", "list", "is_completed")
    list_filter = ("list", "is_completed")
