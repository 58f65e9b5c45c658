"""Kubernetes: is the API server reached, has the identity each right, and would a kubelet find the login?"""

from collections.abc import Iterator
from functools import partial

from ....core.model import Holding
from ....core.plan import KubernetesSecret, Registry
from ..checkup import Checkup, needs_host, token_key
from ..findings import Finding, failed, ok, warning
from ..trying import Leg

_ONCE = "Run `ecr-refresher once`"


def legs(checkup: Checkup) -> Iterator[Leg]:
    """One connection for each API server; then rights, secret and ServiceAccounts in each namespace."""
    connected: dict[str, Leg] = {}
    for entry in checkup.plan.kubernetes:
        if entry.group not in connected:
            act = partial(_connect, checkup, entry)
            connected[entry.group] = Leg("kubernetes", entry.group, "asked the API server who is asking", act)
            yield connected[entry.group]
        for namespace in entry.places:
            yield from _in_namespace(checkup, entry, namespace, connected[entry.group])


def _in_namespace(checkup: Checkup, entry: KubernetesSecret, namespace: str, connected: Leg) -> Iterator[Leg]:
    subject, of_all = entry.sink(namespace), (checkup, entry, namespace)
    rights = partial(_rights, *of_all)
    words = "asked for each right by a SelfSubjectAccessReview"
    yield (granted := Leg("rights", subject, words, rights, (connected.key,), required=entry.required))
    if entry.namespaces is None:
        return
    for registry in map(checkup.plan.registry, entry.registries):
        yield Leg(
            "secret",
            f"{subject} ({registry.name})" if len(entry.registries) > 1 else subject,
            "looked at what a kubelet would find",
            partial(_secret, *of_all, registry),
            after=(granted.key, *needs_host(registry)),
            waits_for=(token_key(registry.principal),),
            required=entry.required and registry.required,
        )
    if entry.service_accounts:
        accounts = partial(_accounts, *of_all)
        yield Leg(
            "service accounts", subject, "looked whether they name the secret", accounts, (granted.key,), required=False
        )


def _connect(checkup: Checkup, entry: KubernetesSecret) -> list[Finding]:
    api = checkup.tools.api_server(entry)
    version, who = api.version(), api.who_am_i()
    return [ok(f"{api.url} answers as Kubernetes {version}{f', and knows us as {who}' if who else ''}")]


def _rights(checkup: Checkup, entry: KubernetesSecret, namespace: str) -> list[Finding]:
    api = checkup.tools.api_server(entry)
    where: str | None = namespace
    wanted: list[tuple[str, str, str | None]] = [
        ("get", "secrets", entry.secret),
        ("patch", "secrets", entry.secret),
        ("create", "secrets", None),  # a name can't be bound to `create`: it is not known when rights are judged
        *((verb, "serviceaccounts", account) for account in entry.service_accounts for verb in ("get", "patch")),
    ]
    if entry.namespaces is None:
        wanted, where = [("list", "namespaces", None)], None
    missing = [
        f"{verb} {resource}{f'/{name}' if name else ''}{f' in namespace {where}' if where else ''}"
        for verb, resource, name in wanted
        if not api.may(verb, resource, where, name)
    ]
    fix = "Grant it by a Role and a RoleBinding (a ClusterRole for namespaces); the chart makes them"
    return [failed(f"the identity may not {right}", fix) for right in missing] or [
        ok("it has each right that it needs")
    ]


def _secret(checkup: Checkup, entry: KubernetesSecret, namespace: str, registry: Registry) -> Iterator[Finding]:
    found = checkup.tools.pull_secret(entry, namespace).examine(registry.host)
    if found.exists:
        yield checkup.freshness(registry, Holding(found.until))
    else:
        yield warning("the secret does not exist yet", f"{_ONCE}; it is created")
    for key in found.longer:
        what = f"a kubelet takes the entry {key} for images below it, and that one is not renewed"
        yield warning(what, f"Remove the entry {key} from the secret, unless it is meant")


def _accounts(checkup: Checkup, entry: KubernetesSecret, namespace: str) -> list[Finding]:
    api = checkup.tools.api_server(entry)
    findings = []
    for account in entry.service_accounts:
        found = api.pull_secrets(namespace, account)
        if found is None:
            what = f"there is no ServiceAccount {account} in namespace {namespace}"
            findings.append(warning(what, "Create it, or remove it from service_accounts"))
        elif entry.secret not in found[1]:
            what = f"the ServiceAccount {account} does not name the secret yet"
            findings.append(warning(what, f"{_ONCE}; it is added"))
    return findings or [ok("all of them name the secret in imagePullSecrets")]
