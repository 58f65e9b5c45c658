"""Kubernetes: is the API server reached, has the identity each right, and would a kubelet find the login?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ....core.plan import KubernetesSecret, Registry
from ....core.times import rfc3339
from ..checkup import Checkup, needs_host
from ..findings import Finding, failed, ok, warning
from ..trying import Key, Leg


def legs(checkup: Checkup) -> Iterator[Leg]:
    """One connection for each API server; then rights, secret and ServiceAccounts in each namespace."""
    connected: dict[str, Key] = {}
    for entry in checkup.plan.kubernetes:
        if entry.group not in connected:
            leg = Leg(
                "kubernetes", entry.group, "asked the API server who is asking", partial(_connect, checkup, entry)
            )
            connected[entry.group] = leg.key
            yield leg
        for namespace in entry.places:
            subject = entry.sink(namespace)
            rights = Leg(
                "rights",
                subject,
                "asked for each right by a SelfSubjectAccessReview",
                partial(_rights, checkup, entry, namespace),
                after=(connected[entry.group],),
                required=entry.required,
            )
            yield rights
            if entry.namespaces is None:
                continue
            for name in entry.registries:
                registry = checkup.plan.registry(name)
                yield Leg(
                    "secret",
                    f"{subject} ({name})" if len(entry.registries) > 1 else subject,
                    "looked at what a kubelet would find",
                    partial(_secret, checkup, entry, namespace, registry),
                    after=(rights.key, *needs_host(registry)),
                    required=entry.required and registry.required,
                )
            if entry.service_accounts:
                yield Leg(
                    "service accounts",
                    subject,
                    "looked whether they name the secret",
                    partial(_accounts, checkup, entry, namespace),
                    after=(rights.key,),
                    required=False,
                )


def _connect(checkup: Checkup, entry: KubernetesSecret) -> list[Finding]:
    api = checkup.tools.api_server(entry)
    version = api.version()
    who = api.who_am_i()
    return [ok(f"{api.url} answers as Kubernetes {version}{f', and knows us as {who}' if who else ''}")]


def _rights(checkup: Checkup, entry: KubernetesSecret, namespace: str) -> list[Finding]:
    api = checkup.tools.api_server(entry)
    wanted: list[tuple[str, str, str | None]] = [
        ("get", "secrets", entry.secret),
        ("patch", "secrets", entry.secret),
        ("create", "secrets", None),  # a name can't be bound to `create`: it is not known when rights are judged
    ]
    for account in entry.service_accounts:
        wanted += [("get", "serviceaccounts", account), ("patch", "serviceaccounts", account)]
    where: str | None = namespace
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


def _secret(checkup: Checkup, entry: KubernetesSecret, namespace: str, registry: Registry) -> list[Finding]:
    found = checkup.tools.pull_secret(entry, namespace).examine(registry.host)
    if not found.exists:
        return [warning("the secret is not there yet", "Run `ecr-refresher once`; it is created")]
    findings: list[Finding] = []
    now = checkup.tools.clock.now()
    if found.until is None:
        findings.append(warning("it holds no login of ours for this registry", "Run `ecr-refresher once`"))
    elif found.until <= now:
        findings.append(failed(f"its login expired at {rfc3339(found.until)}", "Run `ecr-refresher once`"))
    else:
        findings.append(ok(f"a kubelet finds a login that is good until {rfc3339(found.until)}"))
    findings += [
        warning(
            f"a kubelet takes the entry {key} for images below it, and that one is not renewed",
            f"Remove the entry {key} from the secret, unless it is meant",
        )
        for key in found.longer
    ]
    return findings


def _accounts(checkup: Checkup, entry: KubernetesSecret, namespace: str) -> Sequence[Finding]:
    api = checkup.tools.api_server(entry)
    findings = []
    for account in entry.service_accounts:
        found = api.pull_secrets(namespace, account)
        if found is None:
            fix = "Create it, or take it out of service_accounts"
            findings.append(warning(f"there is no ServiceAccount {account} in namespace {namespace}", fix))
        elif entry.secret not in found[1]:
            fix = "Run `ecr-refresher once`; it is added"
            findings.append(warning(f"the ServiceAccount {account} does not name the secret yet", fix))
    return findings or [ok("all of them name the secret in imagePullSecrets")]
