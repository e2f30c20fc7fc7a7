from django.db import migrations, models

from bemi_orm.fields import ContextField, RowImageField
from bemi_orm.operations import RunOnTrailDatabase, read_sql


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        RunOnTrailDatabase(read_sql("tables.sql"), read_sql("drop_tables.sql")),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("database", models.TextField()),
                ("schema", models.TextField()),
                ("table", models.TextField()),
                ("primary_key", models.TextField(null=True)),
                ("primary_key_int", models.BigIntegerField(null=True)),
                ("previous_primary_key", models.TextField(null=True)),
                ("operation", models.TextField()),
                ("before", RowImageField(default=dict)),
                ("after", RowImageField(default=dict)),
                ("context", ContextField(default=dict)),
                ("committed_at", models.DateTimeField()),
                ("queued_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("transaction_id", models.BigIntegerField()),
                ("position", models.BigIntegerField()),
                ("ordinal", models.IntegerField()),
            ],
            options={
                "db_table": "changes",
                "verbose_name": "change",
                "verbose_name_plural": "changes",
                "ordering": ["id"],
                "managed": False,
                "default_permissions": ("view",),
                "permissions": [
                    ("revert_change", "Can revert changes"),
                    ("view_masked", "Can see masked values of changes"),
                ],
            },
        ),
    ]
