"""The plan: the settings after reading, checks and defaults. It holds references to secrets, never a secret.

Reading and checking live in job/settings.
"""

from .airflow import Airflow, Client, Connection, Header, Mwaa, ParameterStore, SecretRef, SecretsFile, SecretsManager
from .engine import Cleanup, ContainerRules, DockerConfig, Engine, ImageRules, KubernetesSecret
from .plan import Log, LogFormat, LogLevel, Plan, Refresh, Server, Slot
from .registries import OWN, PRIVATE, PUBLIC, Principal, Registry, Role
