"""The image's content: size, start, programs, packages with their records, and no missing module."""

from __future__ import annotations

import base64
import csv
import email
import hashlib
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.tools import images
from tests.real.images import ENTRYPOINT, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.tools.podman import Engine

DOCKERFILE = (ROOT / "Dockerfile").read_text()
MEGABYTE = 1_000_000
RECORDS = "var/lib/dpkg/status.d"
CREATED_FILES = {
    "usr/bin/python3": "the path in the entrypoint's first line",
    "usr/lib/ssl/cert.pem": "the path at which OpenSSL looks for certificates",
    "etc/ssl/certs/ca-certificates.crt": "created from the package's certificates at its installation",
}
OPTIONAL = {
    "imports that packages try and can do without": {
        *("OpenSSL", "adal", "awscrt", "backports", "blinker", "botocore.customizations", "brotli", "brotlicffi"),
        *("chardet", "compression", "cryptography", "google", "h2", "jwt", "kubernetes_validate", "python_socks"),
        *("simplejson", "socks", "typing_extensions", "wsaccel", "yaml._yaml"),
    },
    "modules of other systems and other Pythons": {
        *("StringIO", "_overlapped", "_scproxy", "_typeshed", "_winapi", "_wmi", "ctypes.macholib", "httplib"),
        *("java", "js", "msvcrt", "nt", "pyodide", "vms_lib", "winreg"),
    },
    "imports of the standard library that are optional or built in": {
        *("__main__", "_curses", "_frozen_importlib", "_frozen_importlib_external", "pydoc_data", "readline"),
        *("sitecustomize", "test", "usercustomize"),
    },
}


def files(root: Path) -> Iterator[str]:
    """Every file and link, by its path from the root."""
    for folder, folders, names in os.walk(root):
        for name in (*names, *(each for each in folders if os.path.islink(os.path.join(folder, each)))):  # noqa: PTH118, PTH114  os.walk's strings
            yield os.path.relpath(os.path.join(folder, name), root)  # noqa: PTH118  likewise


def in_image(engine: Engine, image: str, code: str, *options: str) -> str:
    """The output of Python code in the image, isolated and with the action's paths."""
    paths = "import sys; sys.path[:0] = ['/app/src', '/app/lib']\n"
    python = ("--entrypoint", "/usr/bin/python3", image, "-I", "-c", paths + code)
    return engine.podman("run", "--rm", "--label", engine.label, *options, *python)


# --- size -----------------------------------------------------------------------------------------------------


def test_it_is_small(engine: Engine, image: str):
    size = images.measure(engine, image)

    assert size.compressed < 25 * MEGABYTE
    assert size.on_disk < 80 * MEGABYTE


# --- how it starts --------------------------------------------------------------------------------------------


def test_it_starts_as_github_requires(engine: Engine, image: str):
    (inspected,) = json.loads(engine.podman("image", "inspect", image))
    config = inspected["Config"]

    assert config["Entrypoint"] == [ENTRYPOINT]
    assert not config.get("Cmd")
    assert not config.get("User")
    assert config.get("WorkingDir", "/") in {"", "/"}
    assert not config.get("Env") or all(each.startswith("PATH=") for each in config["Env"])


def test_the_base_of_these_tests_is_of_the_release_that_the_dockerfile_names():
    (release,) = re.findall(r"^ARG BASE=\S+/debian:(\w+)-slim@sha256:[0-9a-f]{64}$", DOCKERFILE, re.MULTILINE)

    assert release == images.SUITE


# --- what is not in it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program", ["apt", "apt-get", "bash", "cc", "curl", "dash", "dpkg", "gcc", "git", "pip", "pip3", "perl", "wget"]
)
def test_no_program_can_install_or_download(root: Path, program: str):
    found = [path for path in files(root) if path.startswith(("usr/", "app/", "etc/")) and path.endswith(f"/{program}")]

    assert not found


def test_the_only_programs_are_python_and_busybox(root: Path):
    programs = {path for path in files(root) if path.startswith(("usr/bin/", "usr/sbin/", "usr/local/"))}
    real = {path for path in programs if not (root / path).is_symlink()}

    assert real == {"usr/bin/busybox", "usr/bin/python3.13"}
    linked = {str((root / path).readlink()) for path in programs - real}
    assert linked == {"busybox", "python3.13"}


def test_pip_is_not_importable(engine: Engine, image: str):
    output = in_image(
        engine, image, "import importlib.util as u; print([u.find_spec(m) for m in ('pip', 'ensurepip')])"
    )

    assert output.strip() == "[None, None]"


def test_it_has_no_files_of_the_machine_that_built_it(root: Path):
    bytecode = {path for path in files(root) if path.endswith(".pyc")}

    assert {path for path in bytecode if "__pycache__" in path and ".cpython-313." not in path} == set()
    assert {path for path in files(root) if path.startswith("app/src/")} <= {
        f"app/{module.parent.relative_to(ROOT)}/{prefix}{module.stem}{suffix}"
        for module in (ROOT / "src/run_cronjob").rglob("*.py")
        for prefix, suffix in (("", ".py"), ("__pycache__/", ".cpython-313.pyc"))
    }


def test_only_root_may_write(root: Path):
    writable = [path for path in files(root) if not (root / path).is_symlink() and (root / path).stat().st_mode & 0o022]

    assert not writable


# --- what scanners see ----------------------------------------------------------------------------------------


def records(root: Path) -> dict[str, Any]:
    folder = root / RECORDS
    return {
        path.name: email.message_from_string(path.read_text()) for path in folder.iterdir() if path.suffix != ".md5sums"
    }


def owned(root: Path) -> dict[str, str]:
    """Each file in Debian's records, with its package."""
    return {
        line.split(maxsplit=1)[1]: path.stem
        for path in (root / RECORDS).glob("*.md5sums")
        for line in path.read_text().splitlines()
    }


def test_it_names_its_release_of_debian(root: Path):
    release = (root / "usr/lib/os-release").read_text()

    assert re.search(r"^ID=debian$", release, re.MULTILINE)
    assert re.search(rf"^VERSION_CODENAME={images.SUITE}$", release, re.MULTILINE)
    assert (root / "etc/os-release").is_symlink()
    assert re.fullmatch(r"\d+\.\d+\n", (root / "etc/debian_version").read_text())


def test_every_package_of_debian_has_its_record_files_and_copyright(root: Path):
    found = records(root)

    assert {record["Package"] for record in found.values()} == set(found)
    for name, record in found.items():
        assert record["Version"], name
        assert record["Architecture"], name
        assert record["Maintainer"], name
        assert (root / RECORDS / f"{name}.md5sums").stat().st_size, name
        assert (root / f"usr/share/doc/{name}/copyright").is_file(), name


def test_every_file_in_debians_folders_belongs_to_a_recorded_package(root: Path):
    ours = {*CREATED_FILES, *owned(root)}
    places = ("usr/", "etc/", "boot/", "opt/")
    unknown = {
        path
        for path in files(root)
        if path.startswith(places)
        and path not in ours
        and "__pycache__" not in path
        and not is_link_of_ours(root, path)
    }

    # Debian's lists of checksums don't include links and configuration files.
    assert {path for path in unknown if not (root / path).is_symlink() and not path.startswith("etc/")} == set()
    assert {path for path in unknown if path.startswith("etc/")} <= {
        *("etc/debian_version", "etc/dpkg/origins/debian", "etc/host.conf", "etc/issue", "etc/issue.net"),
        *("etc/os-release", f"etc/ld.so.conf.d/{architecture(root)}.conf"),
    }


def is_link_of_ours(root: Path, path: str) -> bool:
    return path.startswith("usr/bin/") and (root / path).is_symlink()


def architecture(root: Path) -> str:
    """The name of the folder with Debian's libraries."""
    (library,) = root.glob("usr/lib/*/libc.so.6")
    return library.parent.name


def test_the_files_of_debian_are_unchanged(root: Path):
    lines = [line for path in (root / RECORDS).glob("*.md5sums") for line in path.read_text().splitlines()]

    assert len(lines) > 500
    for line in lines:
        checksum, path = line.split(maxsplit=1)
        assert hashlib.md5((root / path).read_bytes(), usedforsecurity=False).hexdigest() == checksum, path


def test_the_python_packages_are_those_of_the_lock(root: Path):
    locked = dict(
        re.findall(r"^([\w.-]+)==([\w.]+) \\$", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    )
    metadata = [email.message_from_string(path.read_text()) for path in root.glob("app/lib/*.dist-info/METADATA")]

    assert {normal(each["Name"]): each["Version"] for each in metadata} == {normal(k): v for k, v in locked.items()}


def test_the_files_of_the_python_packages_are_unchanged(root: Path):
    """Their records list checksums. A file may be left out; none is changed."""
    lines = [
        line for path in root.glob("app/lib/*.dist-info/RECORD") for line in csv.reader(path.read_text().splitlines())
    ]
    recorded = {path: checksum for path, checksum, _ in lines if checksum and (root / "app/lib" / path).is_file()}

    assert len(recorded) > 500
    for path, checksum in recorded.items():
        found = hashlib.sha256((root / "app/lib" / path).read_bytes()).digest()
        assert checksum == f"sha256={base64.urlsafe_b64encode(found).decode().rstrip('=')}", path


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- that nothing is missing ----------------------------------------------------------------------------------
# tests/integration with `--cluster=real` runs with the image's files, too.


def test_every_imported_module_is_there_unless_it_is_optional(engine: Engine, image: str):
    script = ROOT / "tests/real/imports.py"
    python = (
        "--entrypoint",
        "/usr/bin/python3",
        image,
        "-I",
        "/imports.py",
        "run_cronjob.start",
        "run_cronjob.main",
        "run_cronjob.post",
    )
    output = engine.podman("run", "--rm", "--label", engine.label, f"--volume={script}:/imports.py:ro", *python)
    found, missing = json.loads(output)

    assert {"boto3", "botocore", "kubernetes", "ssl", "urllib3", "yaml"} <= set(found)
    assert set(missing) <= set().union(*OPTIONAL.values()), missing


def test_every_library_that_a_library_is_linked_with_is_there(engine: Engine, image: str):
    output = in_image(
        engine,
        image,
        """
import ctypes, pathlib
for library in sorted(pathlib.Path('/usr/lib').rglob('*.so*')) + sorted(pathlib.Path('/app/lib').rglob('*.so')):
    ctypes.CDLL(str(library))
    print(library)
""",
    )

    assert "libssl.so.3" in output
    assert "_ssl.cpython-313" in output


def test_it_trusts_the_systems_authorities(engine: Engine, image: str):
    count = "from run_cronjob.clients import http; print(len(http.ssl_context().get_ca_certs()))"
    output = in_image(engine, image, count)

    assert int(output) > 100


def test_names_of_the_hosts_file_are_found(engine: Engine, image: str):
    code = "import socket; print(socket.gethostbyname('cluster.internal'))"

    assert in_image(engine, image, code, "--add-host=cluster.internal:192.0.2.7").strip() == "192.0.2.7"


def test_botocore_knows_the_services_and_partitions_that_are_used(engine: Engine, image: str):
    output = in_image(
        engine,
        image,
        """
import boto3
session = boto3.Session('key', 'secret', region_name='eu-central-1')
print(sorted(session.get_available_services()))
for region in ('eu-central-1', 'cn-north-1', 'us-gov-west-1'):
    for service in ('sts', 'eks'):
        print(session.client(service, region_name=region).meta.endpoint_url)
""",
    )

    assert output.splitlines() == [
        "['eks', 'sts']",
        "https://sts.eu-central-1.amazonaws.com",
        "https://eks.eu-central-1.amazonaws.com",
        "https://sts.cn-north-1.amazonaws.com.cn",
        "https://eks.cn-north-1.amazonaws.com.cn",
        "https://sts.us-gov-west-1.amazonaws.com",
        "https://eks.us-gov-west-1.amazonaws.com",
    ]


def test_all_modules_are_there_as_bytecode_that_is_never_checked(root: Path):
    for folder in ("app/src", "app/lib", "usr/lib/python3.13"):
        sources = [path for path in (root / folder).rglob("*.py") if path.is_file()]
        assert sources
        for source in sources:
            compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
            # The flags after the magic number: 1 is for a hash instead of a time, 2 would be for a check of the source.
            assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", source
