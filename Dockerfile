# The image of ecr-refresher. BASE_IMAGE is any image with Python 3.11 or newer as `python3`, and its venv module.
# Runs with a read-only root, without capabilities, as any user; needs no shell. docs/container.md says how.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
# For builds that take packages from a mirror. Of all this, nothing gets into the image but what is copied below.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN mkdir -p -m 0770 /opt/root/docker
COPY deploy/image/*.lock deploy/image/
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --quiet --require-hashes -r deploy/image/tools.lock \
 && python3 -m venv --without-pip /opt/ecr-refresher \
 && /opt/build/bin/pip --python /opt/ecr-refresher/bin/python install --quiet --require-hashes -r deploy/image/requirements.lock
COPY pyproject.toml README.md LICENSE deploy/image/finish.py ./
COPY ecr_refresher ecr_refresher
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /opt/build/dist . \
 && /opt/build/bin/pip --python /opt/ecr-refresher/bin/python install --quiet --no-deps /opt/build/dist/*.whl \
 && /opt/build/bin/pip --python /opt/ecr-refresher/bin/python check \
 && /opt/build/bin/cyclonedx-py environment --output-reproducible --output-file /opt/ecr-refresher/sbom.cdx.json \
        /opt/ecr-refresher/bin/python \
 && /opt/ecr-refresher/bin/python finish.py

FROM ${BASE_IMAGE}
COPY --from=build /opt/ecr-refresher /opt/ecr-refresher
# Python's official images bring their library as source only: under a read-only root, every start would compile it.
RUN ["/opt/ecr-refresher/bin/python", "-c", "import compileall, re, sysconfig; compileall.compile_dir(sysconfig.get_path('stdlib'), quiet=1, rx=re.compile('/(site-packages|dist-packages|config-.*|ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo)/'))"]
# Where a config.json goes if nothing else is said. A volume mounted there begins with this directory's owner and mode;
# Amazon ECS wants the VOLUME line for that. The numbers are those of Airflow's own image: it may read the file.
COPY --from=build --chown=50000:0 /opt/root/ /
VOLUME /docker
ENV DOCKER_CONFIG=/docker \
    PATH=/opt/ecr-refresher/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Numbers, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 50000:0
EXPOSE 9719
# Every 5 s in the first five minutes, then every five minutes: each check starts a Python.
HEALTHCHECK --interval=5s --timeout=330s --start-period=60s --retries=3 CMD ["ecr-refresher", "status", "--live", "--pause=5m"]
ENTRYPOINT ["ecr-refresher"]
CMD ["run"]
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="ecr-refresher" \
      org.opencontainers.image.description="Keeps the Amazon ECR logins of Airflow connections and Docker hosts fresh" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
