"""The settings in effect, as settings: defaults filled in, paths made absolute, and where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict
from pydantic import BaseModel

from ...core import plan
from ...core.model import MASK
from . import Loaded
from .problems import Place
from .schema.sections import DockerEntry, RegistryEntry
from .yaml_text import dump, scalar

_IN_FILE = "A value without a remark is from that file."
_SECRETS = "Secrets are masked."


def text(loaded: Loaded) -> str:
    """A settings file that means the same as what was loaded; remarks say where a value came from."""
    head, file = "# The settings in effect, from the environment alone.\n# ", loaded.plan.settings_file
    if file:
        head = f"# The settings in effect, from {scalar(file)} and the environment.\n# {_IN_FILE} "
    tree = document(loaded)
    return f"{head}{_SECRETS}\n" + "\n".join(dump(tree, lambda place: origin(place, loaded, tree)))


def document(loaded: Loaded) -> dict[str, Any]:
    """The settings in effect, with the values filled in that depend on the surroundings."""
    known, made = loaded.settings, loaded.plan
    own = [registry for registry in made.registries if registry.alias_of is None]
    names = {registry.name for registry in own}
    whole = known.model_dump(mode="json")
    whole["registries"] = [
        _registry((entry.model_dump(mode="json")), registry)
        for entry, registry in zip(known.registries or [RegistryEntry()], own, strict=True)
    ]
    whole["airflow"] = [
        _airflow(written, there) for written, there in zip(whole["airflow"], made.airflows, strict=True)
    ]
    dockers = known.docker or [DockerEntry()] * len(made.dockers)
    whole["docker"] = [
        {**entry.model_dump(mode="json"), "config_file": there.config_file, "registries": _own(there.registries, names)}
        for entry, there in zip(dockers, made.dockers, strict=True)
    ]
    whole["kubernetes"] = [
        {**written, "namespaces": there.namespaces and [*there.namespaces], "registries": _own(there.registries, names)}
        for written, there in zip(whole["kubernetes"], made.kubernetes, strict=True)
    ]
    whole["cleanup"] = _cleanup(whole["cleanup"], made.cleanup)
    return {key: found for key, value in whole.items() if (found := _without_gaps(value)) is not None}


def origin(place: Place, loaded: Loaded, tree: Any) -> str | None:
    """Where a value of the document came from: a variable, an option, a default; None for the settings file."""
    if _is_given(place, loaded.settings):
        return loaded.problems.source(place)
    if place[-1] == "region":
        return loaded.surroundings.aws_region(tree[place[0]][place[1]].get("profile"))[0]
    return "default"


def _is_given(place: Sequence[Any], node: Any) -> bool:
    """Whether somebody wrote this value, in the file or in the environment."""
    for step in place:
        if isinstance(node, BaseModel):
            if step not in node.model_fields_set:
                return False
            node = getattr(node, step)
        else:
            if step not in (node if isinstance(node, dict) else range(len(node))):
                return False
            node = node[step]
    return True


def _registry(written: dict[str, Any], registry: plan.Registry) -> dict[str, Any]:
    """External ids are masked: vendors hand them out in confidence."""
    ids = [id_ and MASK for id_ in written["external_id"]]
    written = written | {"name": registry.name, "external_id": ids}
    return written | ({} if written["host"] else {"region": registry.principal.region})


def _airflow(written: dict[str, Any], there: plan.Airflow) -> dict[str, Any]:
    connections = {one.id: asdict(one) for one in there.connections}
    for keys in connections.values():
        del keys["id"]
    aws = there.mwaa or there.secrets_manager or there.parameter_store
    return written | {"name": there.name, "connections": connections} | ({"region": aws.region} if aws else {})


def _own(names: Sequence[str], known: set[str]) -> list[str]:
    return [name for name in names if name in known]  # aliases come by themselves


def _cleanup(written: dict[str, Any], made: plan.Cleanup) -> dict[str, Any]:
    above = made.images.when_disk_above
    marks = {} if above is None else {"when_disk_above": _share(above), "until_below": _share(made.images.until_below)}
    return written | {"state_file": made.state_file, "images": written["images"] | marks}


def _share(part: float) -> str:
    return f"{100 * part:g}%"


def _without_gaps(value: Any) -> Any:
    """The value without what was not given; None if nothing is left."""
    if isinstance(value, dict):
        value = {key: found for key, each in value.items() if (found := _without_gaps(each)) is not None}
    elif isinstance(value, list):
        value = [*map(_without_gaps, value)]
    return None if value in (None, [], {}) else value
