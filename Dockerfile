# The image holds Python, three packages and busybox, and nothing to install more with: see docs/architecture.md.
ARG BASE=docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${BASE} AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip

# Debian's packages, unpacked beside each other; their control files tell scanners what is inside.
RUN mkdir /debs && cd /debs \
 && apt-get download busybox-static libbz2-1.0 libc6 libexpat1 libffi8 libgcc-s1 liblzma5 libpython3.13-minimal \
      libpython3.13-stdlib libssl3t64 libuuid1 libzstd1 python3.13-minimal zlib1g \
 && mkdir -p /root-fs/usr/bin /root-fs/usr/lib /root-fs/usr/lib64 /root-fs/var/lib/dpkg/status.d \
 && ln -s usr/bin /root-fs/bin && ln -s usr/lib /root-fs/lib && ln -s usr/lib64 /root-fs/lib64 \
 && for package in *.deb; do \
      dpkg-deb --extract "$package" /root-fs \
   && dpkg-deb --field "$package" > "/root-fs/var/lib/dpkg/status.d/${package%%_*}" || exit 1; \
    done \
 && rm -rf /root-fs/usr/share/doc /root-fs/usr/share/man /root-fs/usr/share/lintian /root-fs/usr/lib/*/gconv \
      /root-fs/usr/lib/python3.13/pydoc_data /root-fs/usr/lib/python3.13/test \
 && ln -s python3.13 /root-fs/usr/bin/python3 \
 && install -D /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ca-certificates.crt \
 && install -d -m 1777 /root-fs/tmp
# What actions/runner-container-hooks runs in a container action's container (run-container-step.ts).
RUN for tool in sh tail tar find chmod env mv rm cp mkdir cat ls; do ln -s busybox "/root-fs/usr/bin/$tool"; done

COPY requirements/runtime.txt /tmp/runtime.txt
# The lock is complete, and leaves out what actions-toolkit asks for but does not import here.
RUN python3 -m pip install --root-user-action=ignore --no-cache-dir --no-deps --require-hashes --no-compile --target /root-fs/app/lib \
      --requirement /tmp/runtime.txt
# Of botocore's 400 services, those that aws.py calls.
RUN cd /root-fs/app/lib/botocore/data \
 && find . -mindepth 1 -maxdepth 1 -type d ! -name sts ! -name eks -exec rm -rf {} +
COPY src/run_cronjob /root-fs/app/src/run_cronjob
COPY --chmod=755 entrypoint.py /root-fs/app/entrypoint.py
COPY --chmod=755 post.py /root-fs/app/post.py
# Never checked against their sources, which are not going to change.
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /root-fs \
      /root-fs/app/lib /root-fs/app/src /root-fs/usr/lib/python3.13

FROM scratch
COPY --from=build /root-fs /
ENTRYPOINT ["/app/entrypoint.py"]
