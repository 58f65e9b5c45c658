"""What the daemon's identity needs for Airflows that it reaches through AWS: MWAA and the secrets backends. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.ecr import partitions
from ...core.plan import Airflow, Plan


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on resources of one service."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


def of_airflows(plan: Plan) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
    """The grants for Airflows of the identity's own, and the roles to assume for the others."""
    grants: dict[str, Grant] = {}
    roles = []
    for airflow in plan.airflows:
        way = airflow.mwaa or airflow.secrets_manager or airflow.parameter_store
        if way is not None and way.role_arn is not None:
            roles.append(way.role_arn)
        elif way is not None:
            for grant in _grants(airflow, way.region):
                before = grants[grant.sid].resources if grant.sid in grants else ()
                resources = tuple(dict.fromkeys((*before, *grant.resources)))
                grants[grant.sid] = Grant(grant.sid, grant.actions, resources)
    return tuple(grants.values()), tuple(dict.fromkeys(roles))


def _grants(airflow: Airflow, region: str) -> list[Grant]:
    partition = partitions.of_region(region)
    own = f"arn:{partition.id if partition else 'aws'}"
    if airflow.mwaa is not None:
        role = f"{own}:airflow:{region}:*:role/{airflow.mwaa.environment}/Op"
        return [Grant("Mwaa", ("airflow:InvokeRestApi",), (role,))]
    if manager := airflow.secrets_manager:
        names = [manager.secret_of(connection) for connection in airflow.connections]
        secrets = tuple(f"{own}:secretsmanager:{region}:*:secret:{name}-??????" for name in names)
        grants = [Grant("Secrets", ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"), secrets)]
        # A secret to create has no suffix yet.
        new = [manager.secret_of(connection) for connection in airflow.connections if connection.create]
        if new:
            resources = tuple(f"{own}:secretsmanager:{region}:*:secret:{name}*" for name in new)
            grants.append(Grant("CreateSecrets", ("secretsmanager:CreateSecret",), resources))
        return grants
    if store := airflow.parameter_store:
        names = [store.parameter_of(connection) for connection in airflow.connections]
        parameters = tuple(f"{own}:ssm:{region}:*:parameter{name}" for name in names)
        # AWS knows no resource for DescribeParameters but "*".
        return [
            Grant("Parameters", ("ssm:GetParameter", "ssm:PutParameter"), parameters),
            Grant("DescribeParameters", ("ssm:DescribeParameters",), ("*",)),
        ]
    return []
