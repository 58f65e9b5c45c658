"""How long one pass takes over 100 registries, 10 roles and 4 regions: `python -m bench.many`, on a quiet machine.

The pass is what `pass_finished` logs as `duration_s`; the process counts Python's start and the settings as well.
"""

from __future__ import annotations

import os
import statistics

from tests.aws.many import Pass, platform

RUNS = int(os.environ.get("BENCH_RUNS", "7"))


def main() -> None:
    runs: list[Pass] = []
    for _ in range(RUNS):
        with platform() as world:
            runs.append(world.once())
            calls = world.count("GetAuthorizationToken")
    print("| figure, 100 registries, 20 ms latency, 5 % throttled | median | worst | must |")
    print("|---|---|---|---|")
    for name, unit, figures, must in (
        ("one pass", "s", [run.pass_s for run in runs], "3 s"),
        ("its process, from start to end", "s", [run.process_s for run in runs], ""),
        ("its CPU time", "s", [run.cpu_s for run in runs], ""),  # what of it a busy machine can't stretch
        ("peak memory", "MB", [run.peak_mb for run in runs], "130 MB"),
    ):
        print(f"| {name} | {statistics.median(figures):.2f} {unit} | {max(figures):.2f} {unit} | {must} |")
    print(f"| calls for a token | {calls} | {calls} | 40 and retries |")


if __name__ == "__main__":
    main()
