# The image of ecr-refresher. BASE_IMAGE is any image with Python 3.11 or newer and pip.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ecr_refresher ecr_refresher
RUN python3 -m venv /opt/ecr-refresher \
 && /opt/ecr-refresher/bin/pip install --no-cache-dir . \
 && /opt/ecr-refresher/bin/pip uninstall -y pip \
 && python3 -m compileall -q /opt/ecr-refresher

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="ecr-refresher" \
      org.opencontainers.image.description="Keeps the Amazon ECR logins of Airflow connections and Docker hosts fresh" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/ecr-refresher /opt/ecr-refresher
ENV PATH=/opt/ecr-refresher/bin:$PATH \
    PYTHONUNBUFFERED=1
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 50000:0
EXPOSE 9719
ENTRYPOINT ["ecr-refresher"]
CMD ["run"]
