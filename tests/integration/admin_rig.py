"""Users of the admin, and what the tests of its pages ask again and again."""

from __future__ import annotations

import html
import re

from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bemi_orm.access import Access

LIST = "/admin/bemi_orm/change/"
ACTIVITY = f"{LIST}activity/"
TAIL = f"{LIST}activity/tail/"


class NoTags(Access):
    """Everybody sees all but one table."""

    def scope(self, user, changes):
        return changes.exclude(table="todos_tag")


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def reader(name="reader", *permissions):
    """Give the client of a member of the staff that may view changes, and has these permissions of ours."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_change", *permissions]))
    return client_of(user)


def root():
    return client_of(User.objects.create_superuser("root"))


def page(client, url):
    response = client.get(url)
    assert response.status_code == 200, (url, response)
    return response.content.decode()


def text_of(markup):
    """Give the words of a page without its tags, with the signs of a keyboard for those that look alike."""
    words = html.unescape(" ".join(re.sub(r"<[^>]*>", " ", markup).split()))
    return words.translate({0x2212: "-", 0x2039: "<"})


def ids_in(markup):
    """Give the ids of the changes that a page lists, in its order."""
    return re.findall(r'<tr data-id="([0-9a-f-]{36})">', markup)


def listed(client, query=""):
    return ids_in(page(client, LIST + query))


def count_queries(client, url):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page(client, url)
    return len(queries)
