"""The plan: the settings after reading, checks and defaults. It holds references to secrets, never a secret.

Reading and checking live in job/settings.
"""

from .airflow import (
    TEAM_SEP,
    Airflow,
    Client,
    Connection,
    Header,
    Mwaa,
    ParameterStore,
    SecretRef,
    SecretsFile,
    SecretsManager,
)
from .engine import Cleanup, DockerConfig, Engine
from .kubernetes import KubernetesSecret
from .plan import Log, LogFormat, LogLevel, Plan, Refresh, Server, Slot
from .registries import OWN, PRIVATE, PUBLIC, Principal, Registry, Role

__all__ = [
    "OWN",
    "PRIVATE",
    "PUBLIC",
    "TEAM_SEP",
    "Airflow",
    "Cleanup",
    "Client",
    "Connection",
    "DockerConfig",
    "Engine",
    "Header",
    "KubernetesSecret",
    "Log",
    "LogFormat",
    "LogLevel",
    "Mwaa",
    "ParameterStore",
    "Plan",
    "Principal",
    "Refresh",
    "Registry",
    "Role",
    "SecretRef",
    "SecretsFile",
    "SecretsManager",
    "Server",
    "Slot",
]
