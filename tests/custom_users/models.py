"""The user model, and a proxy of it."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models


class People(BaseUserManager):
    def create_superuser(self, email, password=None):
        return self.create(email=email, is_staff=True, is_superuser=True)


class Person(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_staff = models.BooleanField(default=False)

    objects = People()
    USERNAME_FIELD = "email"

    def __str__(self):
        """Ask the database, as some projects do."""
        return f"{self.email} of {self.groups.count()} groups"


class Colleague(Person):
    class Meta:
        proxy = True
