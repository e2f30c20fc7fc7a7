"""URLs of the demo site: the page, its forms, and the JSON API."""

from pathlib import Path

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path
from django.views.static import serve

from bemi_orm.demo.site import api, views

urlpatterns = [
    path("", views.index, name="index"),
    path("login/", LoginView.as_view(template_name="demo/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("lists/", views.add_list, name="add_list"),
    path("lists/<int:pk>/delete/", views.delete_list, name="delete_list"),
    path("lists/<int:pk>/complete/", views.complete_list, name="complete_list"),
    path("lists/<int:pk>/todos/", views.add_todo, name="add_todo"),
    path("todos/<int:pk>/toggle/", views.toggle_todo, name="toggle_todo"),
    path("todos/<int:pk>/delete/", views.delete_todo, name="delete_todo"),
    path("api/lists/", api.lists),
    path("api/lists/<int:pk>/", api.list_detail),
    path("api/todos/<int:pk>/", api.todo_detail),
    path("static/<path:path>", serve, {"document_root": Path(__file__).parent / "static"}),
]
