"""What the daemon's identity needs for Airflows that it reaches through AWS: MWAA and the secrets backends. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...core.ecr import partitions
from ...core.plan import Airflow, Plan


@dataclass(frozen=True, slots=True)
class Grant:
    """Actions on resources, `("*",)` for all; one without resources allows nothing."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]


def of_airflows(plan: Plan) -> tuple[tuple[Grant, ...], tuple[str, ...]]:
    """The grants for Airflows of the identity's own, and the roles to assume for the others."""
    resources: dict[tuple[str, tuple[str, ...]], dict[str, None]] = {}
    roles: dict[str, None] = {}
    for airflow in plan.airflows:
        way = airflow.mwaa or airflow.secrets_manager or airflow.parameter_store
        if way is not None and way.role_arn is not None:
            roles[way.role_arn] = None
        elif way is not None:
            for grant in _grants(airflow, way.region):
                resources.setdefault((grant.sid, grant.actions), {}).update(dict.fromkeys(grant.resources))
    return tuple(Grant(*key, tuple(of_key)) for key, of_key in resources.items() if of_key), tuple(roles)


def _grants(airflow: Airflow, region: str) -> Iterator[Grant]:
    partition = partitions.of_region(region)
    own = f"arn:{partition.id if partition else 'aws'}"
    if mwaa := airflow.mwaa:
        role = f"{own}:airflow:{region}:*:role/{mwaa.environment}/Op"
        yield Grant("Mwaa", ("airflow:InvokeRestApi",), (role,))
    elif manager := airflow.secrets_manager:
        arn = f"{own}:secretsmanager:{region}:*:secret:"
        names = {manager.secret_of(connection): connection.create for connection in airflow.connections}
        actions = ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue")
        yield Grant("Secrets", actions, tuple(f"{arn}{name}-??????" for name in names))
        # A secret to create has no suffix yet.
        new = tuple(f"{arn}{name}*" for name, create in names.items() if create)
        yield Grant("CreateSecrets", ("secretsmanager:CreateSecret",), new)
    elif store := airflow.parameter_store:
        arn = f"{own}:ssm:{region}:*:parameter"
        parameters = tuple(arn + store.parameter_of(connection) for connection in airflow.connections)
        yield Grant("Parameters", ("ssm:GetParameter", "ssm:PutParameter"), parameters)
        # AWS knows no resource for DescribeParameters but "*".
        yield Grant("DescribeParameters", ("ssm:DescribeParameters",), ("*",))
