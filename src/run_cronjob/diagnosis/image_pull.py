"""Pure: explains why an image can't be pulled to a pod's node.

The patterns are those of the kubelet of kubernetes 1.31 to 1.37 (pkg/kubelet/images) and of containerd.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from run_cronjob.core.models import Problem, developer_problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.status import Container, Event
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import blocker
from run_cronjob.diagnosis.blocker import CONTINUES, GRACE, RECREATE, Blocker, blocked

_TRIES = 3
"""After so many pulls (about 30 s, with the kubelet's pauses) a missing image counts as missing."""

REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
"""A container's reasons for waiting that are about its image."""


def pull_failure(container: Container, events: Sequence[Event], waited: timedelta) -> Blocker:
    """Why the image of `container` can't be pulled; `events` are those of its pod, `waited` how long it has waited."""
    failed = [event for event in events if event.message.startswith(f'Failed to pull image "{container.image}')]
    latest = blocker.latest(failed)
    # Up to 1.31 a back-off's own message does not say why; the event does.
    said = latest.message if latest and "Back-off" in container.message else container.message
    said = said or container.reason
    text = f"{container.reason} {container.message} {said}"
    pattern, problem = next(row for row in _CAUSES.items() if re.search(row[0], text, re.IGNORECASE))
    what = f"{problem.what.format(image=quoted(container.image))} (container {quoted(container.name)})."
    tried = waited >= GRACE or sum(event.count for event in failed) >= _TRIES
    lasting = pattern in _AT_ONCE or (tried and pattern not in _PASSING)
    return blocked(replace(problem, what=what), said, lasting=lasting)


_NAME_INVALID, _NEVER_PULLED = r"^InvalidImageName ", r"^ErrImageNeverPull "
_AT_ONCE = {_NAME_INVALID, _NEVER_PULLED}
_RATE_LIMIT = r"toomanyrequests|too many requests|rate limit"
_UNREACHABLE = (
    r"i/o timeout|connection refused|connection reset|network is unreachable|no route to host|server misbehaving|"
    r"deadline exceeded|handshake timeout|RegistryUnavailable|registry is unavailable|\b50[0-9] "
)
_OTHER = ""
_PASSING = {_RATE_LIMIT, _UNREACHABLE, _OTHER}
"""These may pass when the cluster tries again."""

_REGISTRY_UNREACHABLE = Problem(
    reason=Reason.IMAGE_REGISTRY_UNREACHABLE,
    what="The node can't reach the registry of the image {image}",
    why="Its host name does not resolve, it does not answer, or its certificate is not trusted. The cluster tries "
    "again by itself.",
    first="Is the registry's name in `image` right? Correct it if not.",
    fix=f"Let the nodes reach it: a way out to the internet, a proxy, a VPC endpoint, its CA on the nodes. {CONTINUES}",
)

_CAUSES = {
    _NAME_INVALID: developer_problem(
        reason=Reason.IMAGE_NAME_INVALID,
        what="{image} can't be the name of an image",
        why="A name is `registry/path:tag`: lower case, no blanks, no scheme such as `https://`. A placeholder that "
        "was not filled in is the usual cause.",
        fix=f"Correct `image` in the CronJob's template. {RECREATE}",
    ),
    _NEVER_PULLED: developer_problem(
        reason=Reason.IMAGE_NEVER_PULLED,
        what="The image {image} is not on the node, and must not be pulled",
        why="The CronJob's template says `imagePullPolicy: Never`, which suits a laptop's cluster only.",
        fix=f"Set `imagePullPolicy: IfNotPresent`, or leave it out. {RECREATE}",
    ),
    r"no match for platform|no matching manifest": developer_problem(
        reason=Reason.IMAGE_PLATFORM_MISSING,
        what="The image {image} is not made for the processor of the node",
        why="It was built for amd64 or arm64 only, and the node has the other one.",
        fix="Build it for both (`docker buildx build --platform linux/amd64,linux/arm64`), or choose fitting nodes in "
        f"the CronJob's template. {RECREATE} For the nodes:",
        paste="nodeSelector:\n  kubernetes.io/arch: amd64",
        paste_language="yaml",
    ),
    _RATE_LIMIT: Problem(
        reason=Reason.IMAGE_PULL_THROTTLED,
        what="The registry limits how often images may be pulled, {image} among them",
        why="Docker Hub, for one, counts the pulls of everyone who has no account, by address. The cluster tries "
        "again by itself.",
        fix="Wait. If it comes back, pull with an account (`imagePullSecrets`), or keep the image in a registry of "
        "your own (ECR has a pull-through cache).",
    ),
    r"no such host|x509: ": _REGISTRY_UNREACHABLE,
    _UNREACHABLE: _REGISTRY_UNREACHABLE,
    # Many registries deny access, too, where the image does not exist.
    r"pull access denied|401 Unauthorized|403 Forbidden|: unauthorized|: denied|no basic auth|authorization failed|"
    r"authentication required|insufficient_scope": Problem(
        reason=Reason.IMAGE_PULL_DENIED,
        what="The registry does not give out the image {image}",
        why="The cluster has no right to read it, or shows no credentials, or they have expired. Many registries "
        "answer in the same way where the image does not exist.",
        first="Is the name right, letter by letter, and was the image pushed? Correct it if not.",
        fix="Let the cluster read it: for ECR, the nodes' role needs `AmazonEC2ContainerRegistryPullOnly`, and the "
        "repository's policy must let another account in; for others, the pod needs an `imagePullSecrets` entry that "
        f"names an existing Secret with valid credentials. {CONTINUES}",
    ),
    r": not found|manifest unknown|name unknown|code = NotFound|404 Not Found": developer_problem(
        reason=Reason.IMAGE_NOT_FOUND,
        what="The image {image} is not in its registry",
        why="The tag or the path is misspelt, or the image was never pushed, or has been cleaned up.",
        fix=f"Push the image, or correct `image` in the CronJob's template. {CONTINUES}",
    ),
    _OTHER: Problem(
        reason=Reason.IMAGE_PULL_FAILED,
        what="The image {image} can't be pulled",
        why="The message says why. The cluster tries again by itself, with longer and longer pauses.",
        first="Is `image` in the CronJob's template right, and was the image pushed?",
        fix=f"Look at the message: the registry, the network, the node's disk. {CONTINUES}",
    ),
}
"""Patterns and their causes; the first that fits counts.

The message repeats the image's name, so each pattern consists of words that no name holds.
"""
