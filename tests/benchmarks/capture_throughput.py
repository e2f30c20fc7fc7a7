"""How many changes a second go from the WAL into `changes`, and how many `pg_recvlogical` alone can read.

    python -m tests.benchmarks.capture_throughput [ROWS] [--pg-bin DIR] [--profile]

Rows: UPDATEs under REPLICA IDENTITY FULL, eight mixed columns, 100 rows and one message a transaction.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import subprocess
import time
from pathlib import Path

from bemi_orm.demo.postgres import EmbeddedPostgres, find_wheel_binaries
from bemi_orm.wal.lsn import format_lsn
from tests.replication.harness import Rig

TABLE = """
CREATE TABLE item (id bigint PRIMARY KEY, task text, is_completed bool, user_id int, price numeric(10,2),
                   created_at timestamptz, updated_at timestamptz, meta jsonb)
"""
FILL = """
INSERT INTO item SELECT n, 'Buy some milk ' || n, false, n %% 100, 1.50, now(), now(), '{"a": 1}'
FROM generate_series(1, %s) n
"""
WORKLOAD = """
DO $$ BEGIN FOR i IN 0..%s LOOP
    PERFORM pg_logical_emit_message(true, '_bemi', '{"user_id": 187234, "method": "POST", "path": "/todo"}');
    UPDATE item SET is_completed = NOT is_completed, updated_at = clock_timestamp()
    WHERE id > i * 100 AND id <= i * 100 + 100;
    COMMIT;
END LOOP; END $$
"""


def read_with_pg_recvlogical(rig: Rig, bin_dir: Path, rows: int) -> float:
    """Changes a second that the server's own reader takes in, from a slot of its own, into nothing."""
    end = format_lsn(rig.wal_position())
    command = [
        bin_dir / "pg_recvlogical",
        "-d",
        rig.name,
        "-h",
        "127.0.0.1",
        "-p",
        rig.parameters["port"],
        "-U",
        "postgres",
        "--slot",
        f"{rig.slot}_b",
        "--start",
        "--endpos",
        end,
        "-f",
        "/dev/null",
        "-o",
        "proto_version=1",
        "-o",
        f"publication_names={rig.publication}",
        "-o",
        "messages=true",
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return rows / (time.perf_counter() - started)


def measure(rows: int, bin_dir: Path, profile: bool) -> tuple[float, float]:
    """One run on a server of its own: changes a second of pg_recvlogical, and of our worker."""
    with EmbeddedPostgres(
        bin_dir, {"synchronous_commit": "on", "fsync": "on", "max_wal_size": "8GB"}
    ) as server:
        rig = Rig(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
        rig.sql.execute(TABLE)
        rig.sql.execute(FILL, [rows])
        rig.set_up("item")
        rig.sql.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [f"{rig.slot}_b"])
        rig.sql.execute(WORKLOAD % (rows // 100 - 1))
        reader = read_with_pg_recvlogical(rig, bin_dir, rows)
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        started = time.perf_counter()
        stored = rig.drain()
        took_seconds = time.perf_counter() - started
        if profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(25)
        assert (
            stored
            == rows
            == rig.fetch("SELECT count(*) FROM changes WHERE context @> '{\"user_id\": 187234}'")[0][0]
        )
        return reader, rows / took_seconds


def main() -> None:
    """Print each run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=100_000)
    parser.add_argument("--pg-bin", type=Path, default=None)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    bin_dir = options.pg_bin or find_wheel_binaries()
    os.umask(0o022)
    runs = [measure(options.rows, bin_dir, options.profile) for _ in range(options.runs)]
    for reader, worker in runs:
        print(f"pg_recvlogical {reader:9,.0f}/s   bemi worker {worker:9,.0f}/s   ratio {worker / reader:.2f}")
    reader, worker = (statistics.median(rates) for rates in zip(*runs, strict=True))
    print(f"medians: {reader:,.0f}/s and {worker:,.0f}/s")


if __name__ == "__main__":
    main()
