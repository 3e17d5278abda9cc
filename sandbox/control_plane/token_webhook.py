"""aws-iam-authenticator as the API server's token webhook, which verifies EKS tokens with STS and maps by aws-auth.

It calls STS by its real host name only. So it uses an HTTP proxy and trusts the sandbox's CA: behind the proxy the
sandbox's STS terminates TLS for that name and checks the signature.
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
    """One aws-iam-authenticator; `answer_sts` is the STS that it calls, and may be set at any time."""

    def __init__(self, program: Path, folder: Path, authority: Authority, *, cluster: str, region: str) -> None:
        self.answer_sts: Callable[[Request], Response] = _no_account
        self.webhook = folder / "aws-iam-authenticator.kubeconfig"
        self._program, self._folder, self._region = program, folder, region
        self._probe_key = secrets.token_hex(16)
        self._host = f"sts.{region}.amazonaws.com"
        self._sts = Server(self._answer, tls=authority.server_context(self._host))
        self.journal = self._sts.journal
        """The requests that it sent to STS."""
        self._proxy = ForwardProxy(local_ports={f"{self._host}:443": self._sts.port})
        folder.mkdir()
        (folder / "ca.pem").write_text(authority.pem)
        self._cluster = cluster

    def prepare(self, port: int) -> None:
        """Write the verifier's certificate, and the webhook's kubeconfig for the API server."""
        server = {"port": port, "address": HOST, "stateDir": str(self._folder), "backendMode": ["EKSConfigMap"]}
        settings = {"clusterID": self._cluster, "server": {**server, "kubeconfigPregenerated": True}}
        (self._folder / "config.yaml").write_text(yaml.safe_dump(settings))
        subprocess.run([*self._command("init")], cwd=self._folder, check=True, capture_output=True)

    def start(self, processes: ProcessManager, kubeconfig: Path) -> int:
        """Start the verifier, which reads aws-auth with `kubeconfig`; return its process id."""
        environ = {
            "HTTPS_PROXY": self._proxy.url,
            "NO_PROXY": HOST,
            "SSL_CERT_FILE": str(self._folder / "ca.pem"),
        }
        command = self._command("server", "--kubeconfig", str(kubeconfig))
        return processes.start(*command, log=self._folder.parent / "aws-iam-authenticator.log", environ=environ)

    def probe(self) -> str:
        """Return a token of PROBE_ARN, which shows whether the verifier has read the newest aws-auth."""
        query = {
            "Action": "GetCallerIdentity",
            "Version": "2011-06-15",
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            # Each probe has a new token: the API server caches the user of a token.
            "X-Amz-Credential": f"{self._probe_key}{secrets.token_hex(4)}/{self._region}/sts/aws4_request",
            "X-Amz-Date": datetime.now(UTC).strftime(DATE_FORMAT),
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": f"host;{CLUSTER_HEADER}",
            "X-Amz-Signature": "0" * 64,
        }
        url = f"https://{self._host}/?{urlencode(query)}"
        return PREFIX + urlsafe_b64encode(url.encode()).decode().rstrip("=")

    def close(self) -> None:
        """Stop the proxy and the STS behind it."""
        self._proxy.close()
        self._sts.close()

    def _command(self, *arguments: str) -> list[str]:
        return [str(self._program), "--config", str(self._folder / "config.yaml"), *arguments]

    def _answer(self, request: Request) -> Response:
        if request.args.get("X-Amz-Credential", "").startswith(self._probe_key):
            identity = {"Arn": PROBE_ARN, "Account": "000000000000", "UserId": "AIDAPROBE"}
            answer = {"GetCallerIdentityResponse": {"GetCallerIdentityResult": identity}}
            return Response(json.dumps(answer), content_type="application/json")
        return self.answer_sts(request)


def _no_account(_: Request) -> Response:
    return Response("no account is open", 503)


def with_probe(aws_auth: Mapping[str, str], generation: str) -> dict[str, str]:
    """Return aws-auth with PROBE_ARN mapped to the username `generation`."""
    users = yaml.safe_load(aws_auth["mapUsers"])
    users.append({"userarn": PROBE_ARN, "username": generation, "groups": []})
    return {**aws_auth, "mapUsers": yaml.safe_dump(users)}
