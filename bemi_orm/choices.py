"""What a change did."""

from __future__ import annotations

from django.db.models import TextChoices


class Operation(TextChoices):
    """The words that the column `operation` holds; they are Bemi's, and SNAPSHOT is ours."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRUNCATE = "TRUNCATE"
    SNAPSHOT = "SNAPSHOT"
