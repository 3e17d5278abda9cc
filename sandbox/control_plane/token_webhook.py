"""The real verifier of EKS tokens: aws-iam-authenticator as the API server's token webhook, with aws-auth as its map.

It asks STS by its real host name only. So it is given a proxy, as a company has one, and trusts our CA: behind the
proxy the sandbox's STS ends TLS for that name, and checks the signature.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import yaml
from werkzeug.wrappers import Response

from sandbox.aws.eks_token import CLUSTER_HEADER, PREFIX
from sandbox.aws.sigv4 import DATE_FORMAT
from sandbox.net.http_proxy import ForwardProxy
from sandbox.net.server import HOST, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from werkzeug.wrappers import Request

    from sandbox.net.certificates import Authority
    from sandbox.tools.processes import ProcessManager

PROBE_ARN = "arn:aws:iam::000000000000:user/probe"


class Verifier:
    """One verifier; `answer_sts` is whose STS it asks, and may change."""

    def __init__(self, program: Path, folder: Path, authority: Authority, *, cluster: str, region: str) -> None:
        self.answer_sts: Callable[[Request], Response] = _nobody
        self.webhook = folder / "aws-iam-authenticator.kubeconfig"
        self._program, self._folder, self._region = program, folder, region
        self._probe_key = secrets.token_hex(16)
        self._host = f"sts.{region}.amazonaws.com"
        self._sts = Server(self._answer, tls=authority.server_context(self._host))
        self.journal = self._sts.journal
        """What it asked STS."""
        self._proxy = ForwardProxy(local_ports={f"{self._host}:443": self._sts.port})
        folder.mkdir()
        (folder / "ca.pem").write_text(authority.pem)
        self._cluster = cluster

    def prepare(self, port: int) -> None:
        """Write its certificate, and the webhook's kubeconfig, which the API server reads when it starts."""
        server = {"port": port, "address": HOST, "stateDir": str(self._folder), "backendMode": ["EKSConfigMap"]}
        settings = {"clusterID": self._cluster, "server": {**server, "kubeconfigPregenerated": True}}
        (self._folder / "config.yaml").write_text(yaml.safe_dump(settings))
        subprocess.run([*self._command("init")], cwd=self._folder, check=True, capture_output=True)

    def start(self, processes: ProcessManager, kubeconfig: Path) -> int:
        """Verify from now on; reads aws-auth by `kubeconfig`."""
        environ = {
            "HTTPS_PROXY": self._proxy.url,
            "NO_PROXY": HOST,
            "SSL_CERT_FILE": str(self._folder / "ca.pem"),
        }
        command = self._command("server", "--kubeconfig", str(kubeconfig))
        return processes.start(*command, log=self._folder.parent / "aws-iam-authenticator.log", environ=environ)

    def probe(self) -> str:
        """A token that the verifier takes for PROBE_ARN's, to see whether it has read the newest aws-auth."""
        query = {
            "Action": "GetCallerIdentity",
            "Version": "2011-06-15",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            # Each probe is another token: the API server remembers for a while whose a token was.
            "X-Amz-Credential": f"{self._probe_key}{secrets.token_hex(4)}/{self._region}/sts/aws4_request",
            "X-Amz-Date": datetime.now(UTC).strftime(DATE_FORMAT),
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": f"host;{CLUSTER_HEADER}",
            "X-Amz-Signature": "0" * 64,
        }
        url = f"https://{self._host}/?{urlencode(query)}"
        return PREFIX + urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def close(self) -> None:
        """Close its way to STS."""
        self._proxy.close()
        self._sts.close()

    def _command(self, *arguments: str) -> list[str]:
        return [str(self._program), "--config", str(self._folder / "config.yaml"), *arguments]

    def _answer(self, request: Request) -> Response:
        if request.args.get("X-Amz-Credential", "").startswith(self._probe_key):
            told = {"Arn": PROBE_ARN, "Account": "000000000000", "UserId": "AIDAPROBE"}
            answer = {"GetCallerIdentityResponse": {"GetCallerIdentityResult": told}}
            return Response(json.dumps(answer), content_type="application/json")
        return self.answer_sts(request)


def _nobody(_: Request) -> Response:
    return Response("no account is open", 503)


def with_probe(aws_auth: Mapping[str, str], generation: str) -> dict[str, str]:
    """aws-auth with a line that names this generation of it after PROBE_ARN."""
    users = yaml.safe_load(aws_auth["mapUsers"])
    users.append({"userarn": PROBE_ARN, "username": generation, "groups": []})
    return {**aws_auth, "mapUsers": yaml.safe_dump(users)}
