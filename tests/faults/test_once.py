"""`once` from end to end on stand-ins: its table in a pipe, and on a terminal with progress and colours."""

from __future__ import annotations

import re
from pathlib import Path

from tests.testbed.daemon import PRODUCT, clean_environment, write_settings
from tests.testbed.processes import on_a_terminal
from tests.testbed.secret_hunt import Outputs

from .conftest import HOST, World

ROW = r"docker/\S+config\.json +{outcome} +\d{{4}}-\d\d-\d\dT\S+Z, in (\d+ (s|min) ?)+"


def test_in_a_pipe_it_is_a_plain_table(world: World) -> None:
    done = world.product.run_cli("once", settings=world.settings, ecr_url=world.ecr.url)
    assert (done.exit_code, done.stdout.splitlines()[0].split()) == (0, ["SINK", "OUTCOME", "HELD", "UNTIL"])
    assert re.search(ROW.format(outcome="written"), done.stdout)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.logs()[-1]["event"] == "pass_finished"  # nothing but log lines there
    again = world.product.run_cli("once", settings=world.settings, ecr_url=world.ecr.url)
    assert re.search(ROW.format(outcome="unchanged"), again.stdout)
    assert HOST in world.config_file.read_text()


def test_on_a_terminal_it_shows_how_far_it_is_and_leaves_no_trace_of_that(
    world: World, tmp_path: Path, outputs: Outputs
) -> None:
    settings = write_settings(world.settings, tmp_path / "settings.yaml")
    environ = clean_environment(tmp_path, ecr_url=world.ecr.url, env={"TERM": "xterm"})
    # Wide, because the path of the test's directory is long.
    text = on_a_terminal([*PRODUCT, "once", "--config", str(settings)], environ, columns=250)
    outputs.keep("once.terminal", text)
    at = [text.find(step) for step in ("reading the settings", "looked at ", "served 2 of 2", "SINK")]
    assert -1 < at[0] < at[1] < at[2] < at[3]
    assert text.rfind("\x1b[?25l") < text.rfind("\x1b[?25h") < at[3], "the cursor is back"
    erased = r"[^\n]*\n\x1b\[\?25h\r\x1b\[1A\x1b\[2K"
    left = re.sub(erased, "", text.replace("\r\n", "\n"))
    seen = left.rstrip().split("\n")
    assert [line for line in seen[:-3] if not line.startswith("{")] == []  # log lines are whole
    assert "\x1b[32mwritten\x1b[0m" in seen[-2]
    assert "SINK" in seen[-3]
