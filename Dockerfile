# syntax=docker/dockerfile:1
# Two stages: pip and its like stay behind in the first. docs/architecture.md tells what is in the image and why.
ARG BASE=docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${BASE} AS packages
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-pip ca-certificates
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m pip install --no-cache-dir --require-hashes --no-compile --target /app/lib --requirement /tmp/runtime.txt
COPY src/run_cronjob /app/src/run_cronjob
COPY --chmod=755 entrypoint.py /app/entrypoint.py
RUN python3 -m compileall -q /app/lib /app/src

FROM ${BASE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /app /app
ENTRYPOINT ["/app/entrypoint.py"]
