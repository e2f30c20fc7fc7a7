"""URLs of a project whose admin is a site of its own."""

from django.contrib.admin import AdminSite
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.urls import path

from bemi_orm import Change
from bemi_orm.admin import ChangeAdmin

back_office = AdminSite(name="back_office")
back_office.register(Change, ChangeAdmin)
back_office.register(User, UserAdmin)

urlpatterns = [path("back-office/", back_office.urls)]
