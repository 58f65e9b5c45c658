"""How an image is taken away: by all its names or none, and only if nothing has begun to use it since it was chosen."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from . import listing
from .names import repository
from .policy import Image
from .report import UsedAgain
from .usage.hearing import Hearing

if TYPE_CHECKING:
    from docker import APIClient


def remove(api: APIClient, hearing: Hearing, image: Image) -> None:
    """Remove an image by all its names, or by none. Raises UsedAgain if it has come into use; the engine's errors."""
    _look_once_more(hearing, image)
    refs = image.tags + tuple(
        digest for digest in image.digests if not any(repository(digest) == repository(tag) for tag in image.tags)
    )
    if len(refs) <= 1:  # the engine then looks for containers first, and takes all or nothing
        api.remove_image(image.id)
        return
    taken: list[str] = []
    try:
        for ref in refs:
            if _meant(api, ref) == image.id:  # a name may have moved on
                _look_once_more(hearing, image)
                api.remove_image(ref)
                taken.append(ref)
    except Exception:
        for ref in taken:  # it came into use: it shall be found by all its names, those that were given anew aside
            with contextlib.suppress(Exception):
                name, _, tag = ref.rpartition(":")
                if "@" not in ref and _meant(api, ref) is None:
                    api.tag(image.id, name, tag)
        raise


def _look_once_more(hearing: Hearing, image: Image) -> None:
    """Raise UsedAgain if it has come into use since it was chosen."""
    hearing.catch_up()
    seen = hearing.history.images.get(image.id)
    if image.id in hearing.index.containers.values() or (seen is not None and image.last_used_at < seen.used_at):
        raise UsedAgain


def _meant(api: APIClient, ref: str) -> str | None:
    """The id of the image that has this name now."""
    from docker.errors import NotFound

    try:
        return str(listing.inspect_image(api, ref)["Id"])
    except NotFound:
        return None
