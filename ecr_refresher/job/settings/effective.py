"""The settings in effect, as a settings file: with defaults, with absolute paths, and where each value came from."""

import json
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from typing import Any

import yaml
from msgspec.structs import asdict

from ... import logs
from ...core import plan
from ...core.model import MASK
from . import Loaded
from .problems import Place, Spot
from .schema.sections import DockerEntry, RegistryEntry


def text(loaded: Loaded) -> str:
    """A settings file that means the same as what was loaded; remarks say where a value came from."""
    head = "# The settings in effect, from the environment alone.\n# "
    if file := loaded.plan.settings_file:
        head = f"# The settings in effect, from {_scalar(file)} and the environment.\n"
        head += "# A value without a remark is from that file. "
    tree: Any = _document(loaded)
    given: Any = loaded.settings.model_dump(exclude_unset=True)

    def origin(place: Place) -> str | None:
        """A variable, an option, a default; None for the settings file."""
        try:
            reduce(getitem, place, given)
        except (LookupError, TypeError):
            if place[-1] != "region":
                return "default"
            return loaded.surroundings.aws_region(tree[place[0]][place[1]].get("profile"))[0]
        return Spot(loaded.problems, place).source

    return f"{head}Secrets are masked.\n" + "\n".join(dump(tree, origin))


def _document(loaded: Loaded) -> dict[str, Any]:
    """The settings in effect, with the values filled in that depend on the surroundings."""
    known, made = loaded.settings, loaded.plan
    own = [registry for registry in made.registries if registry.alias_of is None]
    names = {registry.name for registry in own}
    above, below = made.cleanup.images.when_disk_above, made.cleanup.images.until_below
    marks = {"when_disk_above": above, "until_below": None if above is None else below}
    images = known.cleanup.images.model_copy(update=marks)
    filled = {
        "registries": known.registries or [RegistryEntry()],
        "docker": known.docker or [DockerEntry()] * len(made.dockers),
        "cleanup": known.cleanup.model_copy(update={"state_file": made.cleanup.state_file, "images": images}),
    }
    tree = known.model_copy(update=filled).model_dump(mode="json")

    def logins(there: plan.DockerConfig | plan.KubernetesSecret) -> list[str]:
        return [name for name in there.registries if name in names]  # aliases come by themselves

    for entry, registry in zip(tree["registries"], own, strict=True):
        masked = [id_ and MASK for id_ in entry["external_id"]]  # vendors hand them out in confidence
        region = entry["region"] if entry["host"] else registry.principal.region
        entry |= {"name": registry.name, "region": region, "external_id": masked}
    for entry, airflow in zip(tree["airflow"], made.airflows, strict=True):
        entry["name"] = airflow.name
        entry["connections"] = {one.id: {**asdict(one), "id": None} for one in airflow.connections}
        if aws := airflow.mwaa or airflow.secrets_manager or airflow.parameter_store:
            entry["region"] = aws.region
    for entry, docker in zip(tree["docker"], made.dockers, strict=True):
        entry |= {"config_file": docker.config_file, "registries": logins(docker)}
    for entry, secret in zip(tree["kubernetes"], made.kubernetes, strict=True):
        entry |= {"namespaces": [*(secret.namespaces or ())], "registries": logins(secret)}
    return dict(_without_gaps(tree))


def _without_gaps(value: Any) -> Any:
    """The value without what was not given; None if nothing is left."""
    if isinstance(value, dict):
        value = {key: found for key, each in value.items() if (found := _without_gaps(each)) is not None}
    elif isinstance(value, list):
        value = [*map(_without_gaps, value)]
    return None if value in (None, [], {}) else value


# --- as YAML; PyYAML writes the scalars, but no remarks ---------------------------------------------------------------
def dump(tree: dict[str, Any], remark: Callable[[Place], str | None], place: Place = ()) -> Iterator[str]:
    """The lines of a mapping. A remark is asked for at each scalar, and at each list of scalars."""
    for key, value in tree.items():
        there = (*place, key)
        said = None if _is_deep(value) else remark(there)
        text = "" if isinstance(value, dict | list) else f" {_scalar(value)}"
        yield f"{_scalar(key)}:{text}" + (f"  # {_scalar(said)}" if said else "")
        if isinstance(value, dict):
            yield from (f"  {line}" for line in dump(value, remark, there))
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                first, *rest = dump(entry, remark, (*there, index)) if isinstance(entry, dict) else [_scalar(entry)]
                yield f"  - {first}"
                yield from (f"    {line}" for line in rest)


def _is_deep(value: object) -> bool:
    """Whether it has keys below it, which have their own remarks."""
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_is_deep, value)))


def _scalar(value: object) -> str:
    """One value in YAML, on one line. What looks like a secret is masked: it is in a wrong place."""
    shown = logs.redact(value) if isinstance(value, str) else value
    if isinstance(shown, str) and not shown.isprintable():
        return json.dumps(shown)
    return str(yaml.safe_dump(shown, width=float("inf"), allow_unicode=True)).removesuffix("\n").removesuffix("\n...")
