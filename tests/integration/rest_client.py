"""A client of the REST API, with users of each kind."""

from __future__ import annotations

from django.contrib.auth.models import Permission, User
from django.db import connection
from rest_framework.test import APIClient

PAGE = "/audit/changes/"


def user(*permissions, name="auditor", **flags):
    made = User.objects.create(username=name, **({"is_staff": True} | flags))
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    made.get_all_permissions()  # two queries, which Django keeps with the user
    return made


def client(who):
    api = APIClient()
    api.force_authenticate(who)
    return api


def ids(response):
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def fill(count, size=200):
    """Store so many changes quickly, each with a row of about `size` bytes."""
    with connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO changes (id, database, schema, "table", primary_key, primary_key_int, operation, '
            'before, after, context, committed_at, queued_at, transaction_id, "position", ordinal) '
            "SELECT ('00000000-1' || lpad(to_hex(n / 4096), 3, '0') "
            "|| '-8' || lpad(to_hex(n %% 4096), 3, '0') || '-8000-000000000007')::uuid, "
            "current_database(), 'public', 'todos_todo', n, n, 'UPDATE', "
            "'{}', jsonb_build_object('id', n, 'task', repeat('x', %s)), '{\"user_id\": 1}', "
            "timestamptz '2026-01-01Z' + n * interval '1 s', now(), n, n, 0 FROM generate_series(1, %s) AS n",
            [size, count],
        )
        cursor.execute("ANALYZE changes")
