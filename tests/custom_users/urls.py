"""The admin, with the history of users and of their proxies."""

from django.contrib import admin
from django.urls import path

from bemi_orm.admin import BemiHistoryAdminMixin
from tests.custom_users.models import Colleague, Person
from tests.todos.models import TodoList


@admin.register(Person, Colleague, TodoList)
class HistoryAdmin(BemiHistoryAdminMixin, admin.ModelAdmin):
    exclude = ("groups", "user_permissions", "last_login")


urlpatterns = [path("admin/", admin.site.urls)]
