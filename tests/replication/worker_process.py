"""A worker without Django, in a process of its own: python -m ... PARAMETERS SLOT FAULT.

FAULT names the point at which the process dies as by SIGKILL, after the first rows were copied.
"""

import json
import logging
import os
import sys

from bemi_orm.replication.source import ReplicationSource
from bemi_orm.sink.checkpoint import CheckpointTable
from bemi_orm.sink.writer import Writer
from bemi_orm.worker.loop import Worker
from bemi_orm.worker.signals import StopRequest


def die():
    os._exit(9)


class FaultyWriter(Writer):
    """Dies on the way to its first commit of rows."""

    def __init__(self, parameters, fault):
        super().__init__(parameters)
        self.fault = fault
        self.has_rows = False

    def begin_write(self, changes):
        self.has_rows = True
        super().begin_write(changes)

    def _commit(self):
        if self.has_rows and self.fault == "before the commit":
            die()
        super()._commit()
        if self.has_rows and self.fault == "after the commit":
            die()


def main(parameters, slot, fault):
    writer = FaultyWriter(json.loads(parameters), fault)
    if fault == "before the checkpoint moves":
        original = CheckpointTable.advance
        CheckpointTable.advance = lambda *a: die() if writer.has_rows else original(*a)
    source = ReplicationSource(json.loads(parameters), slot=slot, publication=slot)
    with StopRequest() as stop_request:
        Worker(
            source, writer, tracking_for=lambda own: lambda schema, table: True, should_stop=stop_request
        ).run()


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    main(*sys.argv[1:])
