# The action in an image that is not optimized, to compare its size with.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip
COPY requirements/runtime.in /tmp/runtime.in
RUN pip install --break-system-packages --root-user-action=ignore --requirement /tmp/runtime.in
COPY src/run_cronjob /app/src/run_cronjob
COPY --chmod=755 entrypoint.py /app/entrypoint.py
ENTRYPOINT ["/app/entrypoint.py"]
