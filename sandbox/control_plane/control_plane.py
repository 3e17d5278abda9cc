"""A real control plane on loopback: etcd, kube-apiserver, verifier of EKS tokens, controllers, scheduler and kwok.

Everything is in one folder, which is deleted when this process ends. The ports were free.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import socket
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme
import urllib3
import yaml

from sandbox.control_plane.kubelet import KWOK, Kubelet
from sandbox.control_plane.oidc_issuer import Issuer
from sandbox.control_plane.token_webhook import Verifier
from sandbox.net.certificates import Authority
from sandbox.net.server import HOST
from sandbox.tools import go_build
from sandbox.tools.processes import end_process, is_alive, process_manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.emulator.errors import Object

START_SECONDS = 100
BY_HAND = "by-hand"
"""The name of a node whose pods only tests update."""
READS_FILES = "reads-files"
"""The name of a node whose logs kwok reads with the kubelet's code: all containers print the file `pods_log`."""
_STAGES = Path(__file__).with_name("stages.yaml")
_KEEP_CLEAN = ("garbage-collector-controller", "namespace-controller")
_JOB_CONTROLLERS = ("job-controller", "cronjob-controller", "ttl-after-finished-controller", "resourcequota-controller")
_UNTAINTED: dict[str, Any] = {"taints": []}
_NO_PODS_OF_OTHERS: dict[str, Any] = {"unschedulable": True}
_RUN_JOBS = ("job-controllers", "kube-scheduler", "kwok")
"""The programs that run only while Jobs get pods."""


class ControlPlane:
    """A control plane that runs from construction until this process ends.

    Without `run_jobs` the only controllers are those for garbage and deleted namespaces. `features` are feature gates
    of the API server to enable.
    """

    def __init__(self, *, cluster: str, region: str, features: Iterable[str] = ()) -> None:
        self._processes = process_manager()
        self.folder = Path(tempfile.mkdtemp(prefix="controlplane-", dir=self._processes.folder))
        self._authority, self._client_ca = Authority(), trustme.CA()
        self.ca_pem = self._authority.pem
        self._issuer, self.kubelet = Issuer(self._authority), Kubelet(self._authority, self._pod)
        self.verifier = Verifier(
            go_build.find("aws-iam-authenticator"),
            self.folder / "verifier",
            self._authority,
            cluster=cluster,
            region=region,
        )
        self.admin_token = secrets.token_hex()
        self.pods_log = self.folder / "pods.log"
        self._http = urllib3.PoolManager(ca_cert_data=self.ca_pem)
        self._running: dict[str, int] = {}
        self._features = tuple(features)
        self._write_files()
        self._start_server()
        self._start_rest()

    # Start

    def _write_files(self) -> None:
        self._port = free_port()
        self.url = f"https://{HOST}:{self._port}"
        self._authority.write_certificate(self.folder / "tls.pem")
        (self.folder / "ca.pem").write_text(self.ca_pem)
        (self.folder / "client-ca.pem").write_bytes(self._client_ca.cert_pem.bytes())
        (self.folder / "tokens.csv").write_text(f'{self.admin_token},admin,admin,"system:masters"\n')
        self.kubeconfig = self.folder / "admin.yaml"
        """An administrator's kubeconfig."""
        admin = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "admin",
            "contexts": [{"name": "admin", "context": {"cluster": "sandbox", "user": "admin"}}],
            "clusters": [
                {
                    "name": "sandbox",
                    "cluster": {"server": self.url, "certificate-authority": str(self.folder / "ca.pem")},
                }
            ],
            "users": [{"name": "admin", "user": {"token": self.admin_token}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(admin))

    def _start(self, program: str, *arguments: object, name: str = "") -> None:
        name = name or program
        log = self.folder / f"{name}.log"
        # With the default of 100, Go's garbage collector takes a third of the control plane's CPU time.
        environ = {"GOGC": "400"}
        self._running[name] = self._processes.start(go_build.find(program), *arguments, log=log, environ=environ)

    def _start_server(self) -> None:
        etcd = f"http://{HOST}:{free_port()}"
        self._start(
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://{HOST}:0",
            "--unsafe-no-fsync",
        )
        self.verifier.prepare(free_port())
        self._server_flags = [
            f"--etcd-servers={etcd}",
            f"--secure-port={self._port}",
            f"--bind-address={HOST}",
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={self.folder}/tls.pem",
            f"--tls-private-key-file={self.folder}/tls.pem",
            f"--client-ca-file={self.folder}/client-ca.pem",
            "--service-account-issuer=https://sandbox.invalid",
            f"--service-account-key-file={self.folder}/tls.pem",
            f"--service-account-signing-key-file={self.folder}/tls.pem",
            f"--token-auth-file={self.folder}/tokens.csv",
            *self._issuer.api_server_flags(self.folder / "ca.pem"),
            f"--authentication-token-webhook-config-file={self.verifier.webhook}",
            # With the default, a refusal is cached for two minutes, even if aws-auth has changed.
            "--authentication-token-webhook-cache-ttl=0s",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--anonymous-auth=false",
            "--allow-privileged",
            "--kubelet-preferred-address-types=InternalIP",
            *(f"--feature-gates={feature}=true" for feature in self._features),
        ]
        self._start("kube-apiserver", *self._server_flags)
        self.wait_for("the API server", self._is_ready)

    def _start_rest(self) -> None:
        self._running["aws-iam-authenticator"] = self.verifier.start(self._processes, self.kubeconfig)
        self._start_controllers("clean-controllers", _KEEP_CLEAN)
        self._add_node(BY_HAND, {}, _NO_PODS_OF_OTHERS, self.kubelet.port)
        self.wait_for("tokens to be accepted", self._accepts_tokens)

    def _start_controllers(self, name: str, controllers: Iterable[str]) -> None:
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(controllers)}",
            "--leader-elect=false",
            "--secure-port=0",
            # The default of 20 requests a second makes many Jobs at once wait for each other.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            name=name,
        )

    def run_jobs(self, *, wanted: bool) -> None:
        """Start or stop the controllers, the scheduler and kwok, which give Jobs pods that run and end."""
        if wanted == (_RUN_JOBS[0] in self._running):
            return
        if not wanted:
            for name in _RUN_JOBS:
                end_process(self._running.pop(name), signal.SIGKILL)
            for node in (READS_FILES, KWOK):
                self.ask("DELETE", f"/api/v1/nodes/{node}")
            return
        self._start_controllers("job-controllers", _JOB_CONTROLLERS)
        self._start("kube-scheduler", f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--secure-port=0")
        self._start_kwok()

    def _start_kwok(self) -> None:
        port = free_port()
        logs = {"containers": [], "logsFile": str(self.pods_log), "follow": True}
        config = {
            "apiVersion": "kwok.x-k8s.io/v1alpha1",
            "kind": "ClusterLogs",
            "metadata": {"name": "all"},
            "spec": {"logs": [logs]},
        }
        (self.folder / "logs.yaml").write_text(yaml.safe_dump(config))
        self._start(
            "kwok",
            f"--kubeconfig={self.kubeconfig}",
            f"--config={_STAGES}",
            f"--config={self.folder}/logs.yaml",
            f"--manage-nodes-with-label-selector=sandbox={KWOK}",
            f"--node-ip={HOST}",
            f"--node-port={self.kubelet.port}",
            f"--server-address={HOST}:{port}",
            f"--tls-cert-file={self.folder}/tls.pem",
            f"--tls-private-key-file={self.folder}/tls.pem",
        )
        self._add_node(READS_FILES, {}, _NO_PODS_OF_OTHERS, port)
        self._add_node(KWOK, {"sandbox": KWOK}, _UNTAINTED)
        self.wait_for("the node that kwok plays", self._has_a_ready_node)

    def _add_node(self, name: str, labels: dict[str, str], spec: dict[str, Any], kubelet_port: int = 0) -> None:
        node: dict[str, Any] = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}
        created = self.ask("POST", "/api/v1/nodes", {**node, "spec": spec}).json()
        if kubelet_port:
            created["status"] = {
                "addresses": [{"type": "InternalIP", "address": HOST}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
            }
            self.ask("PUT", f"/api/v1/nodes/{name}/status", created)

    def _is_ready(self) -> bool:
        return self.ask("GET", "/readyz").status == 200

    def _has_a_ready_node(self) -> bool:
        node = self.ask("GET", f"/api/v1/nodes/{KWOK}").json()
        conditions = node.get("status", {}).get("conditions", ())
        taints = node.get("spec", {}).pop("taints", ())
        if taints:
            # A new node has taints that a controller removes which doesn't run here.
            self.ask("PUT", f"/api/v1/nodes/{KWOK}", node)
        return not taints and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _accepts_tokens(self) -> bool:
        return self.who_is(self.token("somebody")) == ("somebody", ())

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; a failed request counts as no.

        Raises TimeoutError, and RuntimeError if a program has ended.
        """
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if condition():
                    return
            dead = [name for name, pid in self._running.items() if not is_alive(pid)]
            if dead:
                log = (self.folder / f"{dead[0]}.log").read_text(errors="replace")
                raise RuntimeError(f"{dead[0]} has ended, and last said:\n{log[-3000:]}")
            time.sleep(0.05)
        raise TimeoutError(f"waited {START_SECONDS} s in vain for {what}")

    # Use

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> urllib3.BaseHTTPResponse:
        """Send one request, as an administrator without `token`."""
        headers = {"Authorization": f"Bearer {token or self.admin_token}"}
        return self._http.request(method, self.url + path, headers=headers, json=body, retries=False, timeout=30)

    def who_is(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        """Return (username, groups) that the API server authenticates `token` as, None for a 401."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, token)
        if answer.status == 401:
            return None
        user = answer.json()["status"]["userInfo"]
        return user["username"], tuple(each for each in user["groups"] if each != "system:authenticated")

    def _pod(self, namespace: str, name: str) -> Object:
        pod: Object = self.ask("GET", f"/api/v1/namespaces/{namespace}/pods/{name}").json()
        return pod

    def token(self, name: str, groups: tuple[str, ...] = ()) -> str:
        """Issue a bearer token for `name`."""
        return self._issuer.token(name, groups)

    def client_certificate(self, name: str, group: str | None = None) -> tuple[str, str]:
        """Issue a client certificate and its key, as PEM."""
        # Without a host name, trustme writes an empty critical extension, which Go refuses.
        issued = self._client_ca.issue_cert("client.invalid", common_name=name, organization_name=group)
        chain = issued.cert_chain_pems[0].bytes().decode()
        return chain, issued.private_key_pem.bytes().decode()

    def restart_server(self) -> None:
        """Kill and restart the API server: its streams end, and its watch cache is empty."""
        end_process(self._running["kube-apiserver"], signal.SIGKILL)
        self._start("kube-apiserver", *self._server_flags)
        self.wait_for("the API server", self._is_ready)
        self.wait_for("tokens to be accepted", self._accepts_tokens)


@cache
def control_plane(*, cluster: str, region: str) -> ControlPlane:
    """Return the control plane of this process."""
    return ControlPlane(cluster=cluster, region=region)


def free_port() -> int:
    """Reserve an unused port for this process, below the ports that the kernel gives to connections."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        # A port may be reserved before its server listens. An abstract socket name holds it until the process ends.
        with socket.socket(socket.AF_UNIX) as claim, socket.socket() as probe, contextlib.suppress(OSError):
            claim.bind(f"\0run-cronjob-port-{port}")
            probe.bind((HOST, port))
            claim.detach()
            return port
