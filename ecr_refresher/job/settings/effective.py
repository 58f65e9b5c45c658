"""The settings in effect, as settings: defaults filled in, paths made absolute, and where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict
from pydantic import BaseModel

from ...core import plan
from . import Loaded
from .problems import Place
from .reading.environment import PREFIX
from .reading.yaml_text import dump, scalar
from .resolving import airflow
from .schema import DockerEntry, RegistryEntry

_IN_FILE = "What has no remark stands in that file."
_SECRETS = "Of secrets only the place is shown, where they are read from."


def text(loaded: Loaded) -> str:
    """A settings file that means the same as what was loaded; remarks say where a value came from."""
    head, file = "# The settings in effect, from the environment alone.\n# ", loaded.plan.settings_file
    if file:
        head = f"# The settings in effect, from {scalar(file)} and the environment.\n# {_IN_FILE} "
    tree = document(loaded)
    return f"{head}{_SECRETS}\n" + "\n".join(dump(tree, lambda place: origin(place, loaded, tree)))


def document(loaded: Loaded) -> dict[str, Any]:
    """The settings in effect, with those values filled in that depend on the surroundings."""
    known, made = loaded.settings, loaded.plan
    own = [registry for registry in made.registries if registry.alias_of is None]
    whole = _written(known, loaded)
    whole["registries"] = [
        _registry(_written(entry, loaded), registry)
        for entry, registry in zip(known.registries or [RegistryEntry()], own, strict=True)
    ]
    whole["airflow"] = [
        {key: value for key, value in _airflow(_written(entry, loaded), there).items() if key in airflow.keys_of(entry)}
        for entry, there in zip(known.airflow, made.airflows, strict=True)
    ]
    whole["docker"] = [
        _docker(_written(entry, loaded), file, {registry.name for registry in own})
        for entry, file in zip(known.docker or [DockerEntry()] * len(made.dockers), made.dockers, strict=True)
    ]
    whole["kubernetes"] = [
        _written(entry, loaded)
        | {"registries": [name for name in there.registries if name in {registry.name for registry in own}]}
        | ({} if there.namespaces is None else {"namespaces": list(there.namespaces)})
        for entry, there in zip(known.kubernetes, made.kubernetes, strict=True)
    ]
    whole["cleanup"] = _cleanup(whole["cleanup"], made.cleanup)
    return {key: found for key, value in whole.items() if (found := _without_gaps(value)) is not None}


def origin(place: Place, loaded: Loaded, tree: Any) -> str | None:
    """Where a value of the document came from: a variable, an option, a default; None for the settings file."""
    if _is_given(place, loaded.settings):
        shown = loaded.problems.show(place)
        return shown if shown.startswith((PREFIX, "--")) else None
    if place[-1] == "region":
        return loaded.paths.aws_region(tree[place[0]][place[1]].get("profile"))[0]
    return "default"


def _is_given(place: Sequence[Any], node: Any) -> bool:
    """Whether somebody wrote this value, here or there."""
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


def _written(section: BaseModel, loaded: Loaded) -> dict[str, Any]:
    return section.model_dump(mode="json", context=loaded.paths)


def _registry(written: dict[str, Any], registry: plan.Registry) -> dict[str, Any]:
    return written | {"name": registry.name} | ({} if written["host"] else {"region": registry.principal.region})


def _airflow(written: dict[str, Any], there: plan.Airflow) -> dict[str, Any]:
    connections = {entry.id: _keys(entry) for entry in there.connections}
    ours = there.mwaa or there.secrets_manager or there.parameter_store
    return written | {"name": there.name, "connections": connections} | ({"region": ours.region} if ours else {})


def _keys(entry: plan.Connection) -> dict[str, Any]:
    return {key: value for key, value in asdict(entry).items() if key != "id"}


def _docker(written: dict[str, Any], file: plan.DockerConfig, own: set[str]) -> dict[str, Any]:
    return written | {
        "config_file": file.config_file,
        "registries": [name for name in file.registries if name in own],  # aliases come by themselves
    }


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
