# The image includes Python, three Python packages and busybox, and no package manager: see docs/architecture.md.
ARG BASE=docker.io/library/debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

FROM ${BASE} AS sources
ARG BASE
# In the official base, a comment above each package source names the snapshot of Debian's archive that the base was
# built from. With packages from that snapshot, the base's digest determines their versions. So a base with a digest
# must name snapshots.
RUN find /etc/apt -name '*.sources' -exec sed --in-place --regexp-extended \
      '\|^# https?://.*/[0-9]{8}T[0-9]{6}Z/?$|{N;s|^# (.*)\nURIs:.*|URIs: \1\nCheck-Valid-Until: no|}' {} + \
 && case "$BASE" in *@*) \
      if grep -rhE '^(URIs:|deb )' /etc/apt/sources.list* | grep -vE '/[0-9]{8}T[0-9]{6}Z/?$'; then \
        echo "These sources of the base name no snapshot: its digest would not decide the packages' versions." >&2; \
        exit 1; \
      fi;; \
    esac

FROM sources AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 python3-pip \
 && mkdir /debs && cd /debs \
 && apt-get download base-files busybox-static ca-certificates gcc-14-base libbz2-1.0 libc6 libexpat1 libffi8 libgcc-s1 \
      liblzma5 libpython3.13-minimal libpython3.13-stdlib libssl3t64 libuuid1 libzstd1 python3.13-minimal zlib1g

# Debian's packages, unpacked into one file system. Scanners read their control files.
RUN cd /debs \
 && mkdir -p /root-fs/var/lib/dpkg/status.d \
 && for deb in base-files_*.deb *.deb; do \
      record="/root-fs/var/lib/dpkg/status.d/${deb%%_*}" \
   && dpkg-deb --extract "$deb" /root-fs \
   && dpkg-deb --field "$deb" > "$record" \
   && dpkg-deb --ctrl-tarfile "$deb" | tar --extract --to-stdout ./md5sums > "$record.md5sums" || exit 1; \
    done \
 && ln -s python3.13 /root-fs/usr/bin/python3 \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /root-fs/etc/ssl/certs/ca-certificates.crt \
 && install -d /root-fs/usr/lib/ssl && ln -s /etc/ssl/certs/ca-certificates.crt /root-fs/usr/lib/ssl/cert.pem
# The programs that actions/runner-container-hooks runs in a container action's container (run-container-step.ts).
RUN for tool in sh tail tar find chmod stat env mv rm cp mkdir cat ls; do ln -s busybox "/root-fs/usr/bin/$tool"; done

COPY requirements/runtime.txt /tmp/runtime.txt
# The lock is complete, except for requirements of actions-toolkit that the action does not import.
RUN python3 -m pip install --root-user-action=ignore --no-cache-dir --no-deps --require-hashes --no-compile \
      --target /root-fs/app/lib --requirement /tmp/runtime.txt

# Remove files of Debian that nothing here reads: documentation except copyrights, files for shells, booting and
# debuggers, and character sets other than Unicode.
RUN cd /root-fs/usr && find share/doc -type f ! -name copyright -delete && find share/doc -xtype l -delete \
 && rm -rf games include src sbin/* share/base-files share/binfmts share/bug share/ca-certificates share/dict \
      share/info share/initramfs-tools share/libc-bin share/lintian share/man share/misc lib/binfmt.d \
      ../etc/ca-certificates ../etc/default ../etc/profile.d ../etc/python3.13 ../etc/skel ../etc/update-motd.d \
      lib/*/engines-3 lib/*/gconv lib/*/libBrokenLocale.* lib/*/libc_malloc_debug.* lib/*/libexpatw.* \
      lib/*/libmemusage.* lib/*/libmvec.* lib/*/libnsl.* lib/*/libnss_compat.* lib/*/libnss_hesiod.* \
      lib/*/libpcprofile.* lib/*/libthread_db.*
# Remove Python's tests, its interactive help, and extensions whose libraries are not installed.
RUN cd /root-fs/usr/lib/python3.13 && rm -rf ensurepip pydoc_data sqlite3 test turtledemo venv \
 && cd lib-dynload && rm -f _curses* _dbm.* _sqlite3.* _test* _xxtest* _ctypes_test.* readline.* xxlimited* xxsubtype.*
# Remove files of the packages: tests, scripts, boto3's resources, PyYAML's C parser (it falls back to that in Python),
# and all of botocore's 400 services except those that aws.py calls.
RUN cd /root-fs/app/lib \
 && rm -rf bin tests websocket/tests certifi/tests boto3/data boto3/examples yaml/_yaml.*.so \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name sts ! -name eks -exec rm -rf {} +
# Reduce the packages' lists of checksums to the remaining files.
RUN cd /root-fs && for list in var/lib/dpkg/status.d/*.md5sums; do \
      while read -r sum file; do if [ -e "$file" ]; then echo "$sum  $file"; fi; done < "$list" > /tmp/left \
   && cp /tmp/left "$list" || exit 1; \
    done

COPY src/run_cronjob /root-fs/app/src/run_cronjob
COPY --chmod=755 entrypoint.py /root-fs/app/entrypoint.py
COPY --chmod=755 post.py /root-fs/app/post.py
# The bytecode is never checked against its sources, which don't change. The generated half of the kubernetes package
# is included as bytecode alone.
RUN generated=/root-fs/app/lib/kubernetes/client \
 && python3 -m compileall -q -j 0 -b --invalidation-mode unchecked-hash -s /root-fs -p / \
      "$generated/api" "$generated/models" \
 && find "$generated/api" "$generated/models" -name '*.py' -delete \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash -s /root-fs -p / \
      /root-fs/app/lib /root-fs/app/src /root-fs/usr/lib/python3.13

FROM scratch
COPY --from=build /root-fs /
ENTRYPOINT ["/app/entrypoint.py"]
