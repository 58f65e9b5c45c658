"""What a Kubernetes API server answers, as far as it is used. No I/O.

The client's own types would hold the whole of it, in up to a thousand times the memory.
"""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct, field

T = TypeVar("T")
REFERENCES_MAX = 1000  # imagePullSecrets of one ServiceAccount, which are written as a whole


def read(text: bytes, type_: type[T]) -> T:
    """Raises ValueError or RecursionError where the text is not of this type."""
    try:
        return msgspec.json.decode(text, type=type_)
    except msgspec.MsgspecError:
        raise ValueError("it is of another form") from None


class Written(Struct):
    class Metadata(Struct, rename="camel"):
        resource_version: str

    metadata: Metadata


class ServiceAccount(Written, rename="camel"):
    class Reference(Struct, gc=False):
        name: str = ""  # Kubernetes takes entries without

    image_pull_secrets: Annotated[list[Reference], Meta(max_length=REFERENCES_MAX)] | None = None


class Namespaces(Struct):
    class Metadata(Struct):
        continue_: str = field(default="", name="continue")

    class Namespace(Struct):
        class Metadata(Struct, rename="camel"):
            name: str
            deletion_timestamp: str | None = None

        metadata: Metadata

    items: list[Namespace]
    metadata: Metadata = field(default_factory=Metadata)


class Review(Struct):
    """Of what may be done, or of who asks."""

    class Status(Struct, rename="camel"):
        class User(Struct):
            username: str = ""

        allowed: bool = False
        user_info: User = field(default_factory=User)

    status: Status


class Version(Struct, rename="camel"):
    git_version: str
