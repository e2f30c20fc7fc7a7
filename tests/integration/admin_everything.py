"""URLs of a site that has both: all changes, and objects with a history."""

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.urls import path

from bemi_orm import Change
from bemi_orm.admin import BemiHistoryAdminMixin, ChangeAdmin
from tests.todos.models import Tag, Todo, TodoList

site = admin.AdminSite(name="everything")
site.register(Change, ChangeAdmin)


@admin.register(Todo, TodoList, Tag, site=site)
class PlainAdmin(BemiHistoryAdminMixin, admin.ModelAdmin):
    pass


@admin.register(User, site=site)
class PeopleAdmin(BemiHistoryAdminMixin, UserAdmin):
    pass


urlpatterns = [path("admin/", site.urls)]
