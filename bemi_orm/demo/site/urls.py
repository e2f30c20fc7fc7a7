"""URLs of the demo site: the page, its forms and JSON API; the admin; the REST API where it is installed."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.staticfiles.views import serve
from django.urls import include, path

from bemi_orm.demo.site import api, views

admin.autodiscover()

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
    path("admin/", admin.site.urls),
    path("static/<path:path>", serve, {"insecure": True}),  # which means: without DEBUG, too
]

if settings.HAS_REST:
    urlpatterns += [
        path("audit/", include("bemi_orm.rest_framework.urls")),
        path("rest/", include("bemi_orm.demo.site.rest")),
    ]
