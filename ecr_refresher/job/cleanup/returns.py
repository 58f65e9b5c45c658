"""Can an image be pulled again? Its registry is asked for the manifest, right before the image is removed.

ECR archives images that nobody pulled for a while, lifecycle policies delete them, and rights change; a daily use on
this host renews none of that. So an image that its registry can't give back now stays. Asking is a HEAD of the
manifest: it pulls nothing, and restores nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ...core.model import Credential, Failed
from ...core.plan import Principal, Registry
from . import names
from .policy import Image
from .remembered import REMEMBERED_S, Answers

Ask = Callable[[Registry, Credential, str], int]  # the path of a manifest -> the status of the registry's answer
Login = Callable[[Principal], Credential]
_WORDS = {401: "refuses the login", 403: "denies it", 404: "does not have it (deleted, or archived)"}


@dataclass(slots=True)
class Returns:
    """Asks for one cleanup; `remembered` are answers that keep an image, of this cleanup and those before it."""

    registries: dict[str, Registry]  # by host
    login: Login  # called for each manifest, so it has to remember
    ask: Ask
    now: Callable[[], float]
    remembered: Answers = field(default_factory=dict)

    def refusal(self, image: Image) -> str | None:
        """Why the image can't be pulled again, in its registries' words; None if one of them can give it back.

        None too for an image without a name in our registries: the rules judge that.
        """
        wanted = list(self._manifests(image))
        at, word = self.remembered.get(image.id, (0.0, ""))
        if wanted and 0 <= self.now() - at < REMEMBERED_S:
            return word
        words: list[str] = []
        for registry, path in wanted:
            answer = self._asked(registry, path)
            if answer is None:
                return None
            words.append(f"{registry.host} {answer}")
        if not words:
            return None
        word = "; ".join(dict.fromkeys(words))
        self.remembered[image.id] = self.now(), word
        return word

    def _manifests(self, image: Image) -> Iterator[tuple[Registry, str]]:
        """Where it may be pulled from: the repositories that are known to have had it: by digest, else by tag."""
        by_digest = {names.repository(digest) for digest in image.digests}
        tags = [tag for tag in image.tags if names.repository(tag) not in by_digest]
        for name in (*image.digests, *tags):
            host, repository = names.host(name), names.repository(name)
            if host in self.registries and repository in image.pulled:
                reference = name.removeprefix(repository)[1:] or "latest"
                yield self.registries[host], f"/v2/{repository.removeprefix(f'{host}/')}/manifests/{reference}"

    def _asked(self, registry: Registry, path: str) -> str | None:
        """Why the registry can't give the image back; None if it can."""
        try:
            status = self.ask(registry, self.login(registry.principal), path)
        except Failed as failed:
            return f"gives no answer: {failed.failure.message}"
        return None if status == 200 else _WORDS.get(status, f"answers {status}")
