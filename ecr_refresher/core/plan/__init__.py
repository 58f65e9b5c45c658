"""The plan: the settings after reading, checks and defaults. It holds references to secrets, never a secret.

Reading and checking live in job/settings.
"""

from .airflow import TEAM_SEP as TEAM_SEP
from .airflow import Airflow as Airflow
from .airflow import Client as Client
from .airflow import Connection as Connection
from .airflow import Header as Header
from .airflow import Mwaa as Mwaa
from .airflow import ParameterStore as ParameterStore
from .airflow import SecretRef as SecretRef
from .airflow import SecretsFile as SecretsFile
from .airflow import SecretsManager as SecretsManager
from .engine import Cleanup as Cleanup
from .engine import ContainerRules as ContainerRules
from .engine import DockerConfig as DockerConfig
from .engine import Engine as Engine
from .engine import ImageRules as ImageRules
from .kubernetes import KubernetesSecret as KubernetesSecret
from .plan import Log as Log
from .plan import LogFormat as LogFormat
from .plan import LogLevel as LogLevel
from .plan import Plan as Plan
from .plan import Refresh as Refresh
from .plan import Server as Server
from .plan import Slot as Slot
from .registries import OWN as OWN
from .registries import PRIVATE as PRIVATE
from .registries import PUBLIC as PUBLIC
from .registries import Principal as Principal
from .registries import Registry as Registry
from .registries import Role as Role
