"""What of the chart is made of something else; `make docs` puts it there, a test says whether it is up to date.

The table of values in README.md is made of the comments in values.yaml, as helm-docs would do it. The part for `config`
in values.schema.json is the settings' own schema, so that Helm refuses what the daemon would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from ecr_refresher.job.settings.schema import json_schema
from tests.deploy.chart import CHART

BEGIN = "<!-- by tests/deploy/chart_made.py, from values.yaml: begin -->\n"
END = "<!-- end -->\n"


def readme() -> str:
    """What README.md must hold."""
    before, _, rest = (CHART / "README.md").read_text().partition(BEGIN)
    _, marked, after = rest.partition(END)
    assert marked, f"README.md has lost {BEGIN} or {END}"
    return "".join([before, BEGIN, table(), END, after])


def schema() -> str:
    """What values.schema.json must hold."""
    made = json.loads((CHART / "values.schema.json").read_text())
    settings = json_schema()
    del settings["$schema"]
    made["$defs"] = settings.pop("$defs")
    del made["$defs"]["ServerEntry"]["properties"]["listen"]  # the chart's business
    made["properties"]["config"] = settings
    made["properties"]["kubernetes"] = {"type": "array", "items": {"$ref": "#/$defs/KubernetesEntry"}}
    return json.dumps(as_go_reads(made), indent=2, ensure_ascii=False) + "\n"


def as_go_reads(node: Any) -> Any:
    """A schema without what Go's regular expressions lack: looking around, and counting beyond 1000."""
    if isinstance(node, list):
        return [as_go_reads(item) for item in node]
    if not isinstance(node, dict):
        return node
    lacking = isinstance(node.get("pattern"), str) and re.search(r"\(\?[!=<]", node["pattern"])
    loosened = {key: as_go_reads(value) for key, value in node.items() if not (lacking and key == "pattern")}
    if isinstance(loosened.get("pattern"), str):
        loosened["pattern"] = re.sub(r"\{(\d+),\d{4,}\}", r"{\1,}", loosened["pattern"])
    return loosened


def table() -> str:
    rows = [f"| `{key}` | {default} | {comment} |\n" for key, default, comment in values()]
    return "".join(["| Key | Default | Description |\n|---|---|---|\n", *rows])


def values() -> Iterator[tuple[str, str, str]]:
    """Key, default and description of each value that has a comment beginning with `# --`."""
    text = (CHART / "values.yaml").read_text()
    lines = text.splitlines()

    def walk(node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
        for key, value in node.value:
            here = (*path, key.value)
            comment = comment_above(lines, key.start_mark.line)
            if comment:
                default = yaml.safe_load(yaml.serialize(value))
                yield ".".join(here), f"`{json.dumps(default, separators=(',', ':'))}`", comment
            else:
                assert isinstance(value, yaml.MappingNode), f"{'.'.join(here)} has no comment that begins with '# --'"
                yield from walk(value, here)

    root = yaml.compose(text)
    assert isinstance(root, yaml.MappingNode)
    return walk(root, ())


def comment_above(lines: list[str], number: int) -> str:
    """The comment that ends right above a line, from its `# --` on; empty if there is none."""
    found: list[str] = []
    while number > 0 and lines[number - 1].strip().startswith("#"):
        number -= 1
        found.insert(0, lines[number].strip().removeprefix("#").strip())
        if found[0].startswith("-- "):
            return " ".join(found).removeprefix("-- ")
    return ""


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())
    (CHART / "values.schema.json").write_text(schema())
