"""The demo's two tables."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Lists and todos."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="TodoList",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        primary_key=True, serialize=False, auto_created=True, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            name="Todo",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        primary_key=True, serialize=False, auto_created=True, verbose_name="ID"
                    ),
                ),
                ("task", models.CharField(max_length=200)),
                ("is_completed", models.BooleanField(default=False)),
                (
                    "list",
                    models.ForeignKey(on_delete=models.deletion.CASCADE, to="demo.todolist"),
                ),
            ],
            options={"ordering": ["id"]},
        ),
    ]
