"""A Celery application whose tasks write, over kombu's filesystem transport."""

import os
import tempfile
from pathlib import Path

import django
from celery import Celery, shared_task

django.setup()

from bemi_orm import context  # noqa: E402
from tests.todos.models import Tag  # noqa: E402

FOLDER = Path(os.environ.get("BEMI_TEST_CELERY_FOLDER") or tempfile.gettempdir())
app = Celery("site", broker="filesystem://", backend=f"file://{FOLDER}", set_as_current=False)
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(FOLDER),
        "data_folder_out": str(FOLDER),
        "control_folder": str(FOLDER / "control"),
    },
    result_chord_retry_interval=0.1,
    worker_hijack_root_logger=False,
)


@app.task(name="write")
def write(code):
    Tag.objects.create(code=code)


@app.task(name="write_and_call")
def write_and_call(code):
    context(step="parent")
    Tag.objects.create(code=code)
    write.delay(f"{code}-child")


@app.task(name="write_twice", bind=True, default_retry_delay=0)
def write_twice(self, code):
    Tag.objects.create(code=f"{code}-{self.request.retries}")
    if self.request.retries == 0:
        raise self.retry()


@app.task(name="fail")
def fail(code):
    context(left_over=True)
    Tag.objects.create(code=code)
    raise LookupError(code)


@shared_task(name="count_arguments")
def count_arguments(*arguments, **keywords):
    return len(arguments) + len(keywords)
