"""URLs of the test project."""

from django.contrib import admin
from django.urls import path

from tests.todos import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", views.log_in),
    path("lists/", views.lists),
    path("lists/<int:pk>/", views.list_detail),
    path("lists/<int:pk>/todos/", views.todos),
    path("lists/<int:pk>/complete/", views.complete_all),
    path("todos/<int:pk>/", views.todo_detail),
    path("fail/", views.fail),
]
