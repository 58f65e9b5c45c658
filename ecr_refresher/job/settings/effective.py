"""The settings in effect, as settings: defaults filled in, paths made absolute, and where each value came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import asdict
from pydantic import BaseModel

from ...core import plan
from ...core.model import MASK
from . import Loaded
from .problems import Place, Spot
from .schema.airflow import AirflowEntry, ConnectionEntry
from .schema.cleanup import CleanupEntry
from .schema.section import Section
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

    def logins(there: plan.DockerConfig | plan.KubernetesSecret) -> list[str]:
        return [name for name in there.registries if name in names]  # aliases come by themselves

    registries = known.registries or [RegistryEntry()]
    dockers = known.docker or [DockerEntry()] * len(made.dockers)
    filled = {
        "registries": [_registry(entry, there) for entry, there in zip(registries, own, strict=True)],
        "airflow": [_airflow(entry, there) for entry, there in zip(known.airflow, made.airflows, strict=True)],
        "docker": [
            _filled(entry, config_file=there.config_file, registries=logins(there))
            for entry, there in zip(dockers, made.dockers, strict=True)
        ],
        "kubernetes": [
            _filled(entry, namespaces=there.namespaces, registries=logins(there))
            for entry, there in zip(known.kubernetes, made.kubernetes, strict=True)
        ],
        "cleanup": _cleanup(known.cleanup, made.cleanup),
    }
    shown: dict[str, Any] = _without_gaps(known.model_copy(update=filled).model_dump(mode="json", warnings=False))
    return shown


def origin(place: Place, loaded: Loaded, tree: Any) -> str | None:
    """Where a value of the document came from: a variable, an option, a default; None for the settings file."""
    if _is_given(place, loaded.settings):
        return Spot(loaded.problems, place).source
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


def _filled(entry: Section, **values: Any) -> Section:
    return entry.model_copy(update=values)


def _registry(entry: RegistryEntry, registry: plan.Registry) -> Section:
    """External ids are masked: vendors hand them out in confidence."""
    region = entry.region if entry.host else registry.principal.region
    return _filled(entry, name=registry.name, region=region, external_id=[id_ and MASK for id_ in entry.external_id])


def _airflow(entry: AirflowEntry, there: plan.Airflow) -> Section:
    connections = {
        one.id: ConnectionEntry(**{key: value for key, value in asdict(one).items() if key != "id"})
        for one in there.connections
    }
    aws = there.mwaa or there.secrets_manager or there.parameter_store
    return _filled(entry, name=there.name, connections=connections, **({"region": aws.region} if aws else {}))


def _cleanup(entry: CleanupEntry, made: plan.Cleanup) -> Section:
    images, above = entry.images, made.images.when_disk_above
    if above is not None:
        marks = {"when_disk_above": above, "until_below": made.images.until_below}
        images = images.model_copy(update=marks)
    return _filled(entry, state_file=made.state_file, images=images)


def _without_gaps(value: Any) -> Any:
    """The value without what was not given; None if nothing is left."""
    if isinstance(value, dict):
        value = {key: found for key, each in value.items() if (found := _without_gaps(each)) is not None}
    elif isinstance(value, list):
        value = [*map(_without_gaps, value)]
    return None if value in (None, [], {}) else value
