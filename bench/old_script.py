"""What people use today: the cron script that takes a token by boto3 and has Airflow's command replace the connection.

The commonest form of it, as found in many a blog post; run with Airflow's `bin` first on PATH.
"""

from __future__ import annotations

import base64
import subprocess
import sys

import boto3


def main() -> None:
    registry, connection = sys.argv[1:3]
    answer = boto3.client("ecr").get_authorization_token()
    token = answer["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    subprocess.run(["airflow", "connections", "delete", connection], check=False)
    add = ["airflow", "connections", "add", connection, "--conn-type", "docker", "--conn-host", registry]
    subprocess.run([*add, "--conn-login", user, "--conn-password", password], check=True)


if __name__ == "__main__":
    main()
