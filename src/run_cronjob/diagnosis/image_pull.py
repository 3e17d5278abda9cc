"""Pure: explains why an image can't be pulled to a pod's node.

The patterns are those of the kubelet of kubernetes 1.31 to 1.37 (pkg/kubelet/images) and of containerd.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from run_cronjob.core.models import Concerns, Problem
from run_cronjob.core.reasons import Reason
from run_cronjob.core.text import quoted
from run_cronjob.diagnosis import blocker
from run_cronjob.diagnosis.blocker import CONTINUES, GRACE, RECREATE, blocked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from run_cronjob.core.status import Container, Event
    from run_cronjob.diagnosis.blocker import Blocker

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
    if container.reason == "InvalidImageName":
        return blocked(_image_name_invalid(container), said, lasting=True)
    if container.reason == "ErrImageNeverPull":
        return blocked(_image_never_pulled(container), said, lasting=True)
    tried = waited >= GRACE or sum(event.count for event in failed) >= _TRIES
    text = f"{container.reason} {container.message} {said}"
    for pattern, cause, passes in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return blocked(cause(container), said, lasting=tried and not passes)
    return blocked(_image_pull_failed(container), said, lasting=False)


def _image_name_invalid(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_NAME_INVALID,
        what=f"{quoted(container.image)} can't be the name of an image (container {quoted(container.name)}).",
        why="A name is `registry/path:tag`: lower case, no blanks, no scheme such as `https://`. A placeholder that "
        "was not filled in is the usual cause.",
        fix=f"Correct `image` in the CronJob's template. {RECREATE}",
        concerns=Concerns.DEVELOPER,
    )


def _image_never_pulled(container: Container) -> Problem:
    # imagePullPolicy: Never, and the node does not have the image.
    return Problem(
        reason=Reason.IMAGE_NEVER_PULLED,
        what=f"The image {quoted(container.image)} is not on the node, and must not be pulled (container "
        f"{quoted(container.name)}).",
        why="The CronJob's template says `imagePullPolicy: Never`, which suits a laptop's cluster only.",
        fix=f"Set `imagePullPolicy: IfNotPresent`, or leave it out. {RECREATE}",
        concerns=Concerns.DEVELOPER,
    )


# The message repeats the image's name, so each pattern consists of words that no name holds.

_NO_PLATFORM = r"no match for platform|no matching manifest"


def _image_platform_missing(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_PLATFORM_MISSING,
        what=f"The image {quoted(container.image)} is not made for the processor of the node (container "
        f"{quoted(container.name)}).",
        why="It was built for amd64 or arm64 only, and the node has the other one.",
        fix="Build it for both (`docker buildx build --platform linux/amd64,linux/arm64`), or choose fitting nodes in "
        f"the CronJob's template. {RECREATE} For the nodes:",
        concerns=Concerns.DEVELOPER,
        paste="nodeSelector:\n  kubernetes.io/arch: amd64",
        paste_language="yaml",
    )


_RATE_LIMIT = r"toomanyrequests|too many requests|rate limit"


def _image_pull_throttled(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_PULL_THROTTLED,
        what=f"The registry limits how often images may be pulled, {quoted(container.image)} among them (container "
        f"{quoted(container.name)}).",
        why="Docker Hub, for one, counts the pulls of everyone who has no account, by address. The cluster tries "
        "again by itself.",
        fix="Wait. If it comes back, pull with an account (`imagePullSecrets`), or keep the image in a registry of "
        "your own (ECR has a pull-through cache).",
    )


_MISNAMED_OR_UNTRUSTED = r"no such host|x509: "
_UNREACHABLE = (
    r"i/o timeout|connection refused|connection reset|network is unreachable|no route to host|server misbehaving|"
    r"deadline exceeded|handshake timeout|RegistryUnavailable|registry is unavailable|\b50[0-9] "
)


def _image_registry_unreachable(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_REGISTRY_UNREACHABLE,
        what=f"The node can't reach the registry of the image {quoted(container.image)} (container "
        f"{quoted(container.name)}).",
        why="Its host name does not resolve, it does not answer, or its certificate is not trusted. The cluster tries "
        "again by itself.",
        first="Is the registry's name in `image` right? Correct it if not.",
        fix="Let the nodes reach it: a way out to the internet, a proxy, a VPC endpoint, its CA on the nodes. "
        + CONTINUES,
    )


_DENIED = (
    r"pull access denied|401 Unauthorized|403 Forbidden|: unauthorized|: denied|no basic auth|authorization failed|"
    r"authentication required|insufficient_scope"
)


def _image_pull_denied(container: Container) -> Problem:
    # Many registries deny access, too, where the image does not exist.
    return Problem(
        reason=Reason.IMAGE_PULL_DENIED,
        what=f"The registry does not give out the image {quoted(container.image)} (container "
        f"{quoted(container.name)}).",
        why="The cluster has no right to read it, or shows no credentials, or they have expired. Many registries "
        "answer in the same way where the image does not exist.",
        first="Is the name right, letter by letter, and was the image pushed? Correct it if not.",
        fix="Let the cluster read it: for ECR, the nodes' role needs `AmazonEC2ContainerRegistryPullOnly`, and the "
        "repository's policy must let another account in; for others, the pod needs an `imagePullSecrets` entry that "
        "names an existing Secret with valid credentials. " + CONTINUES,
    )


_NOT_FOUND = r": not found|manifest unknown|name unknown|code = NotFound|404 Not Found"


def _image_not_found(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_NOT_FOUND,
        what=f"The image {quoted(container.image)} is not in its registry (container {quoted(container.name)}).",
        why="The tag or the path is misspelt, or the image was never pushed, or has been cleaned up.",
        fix=f"Push the image, or correct `image` in the CronJob's template. {CONTINUES}",
        concerns=Concerns.DEVELOPER,
    )


def _image_pull_failed(container: Container) -> Problem:
    return Problem(
        reason=Reason.IMAGE_PULL_FAILED,
        what=f"The image {quoted(container.image)} can't be pulled (container {quoted(container.name)}).",
        why="The message says why. The cluster tries again by itself, with longer and longer pauses.",
        first="Is `image` in the CronJob's template right, and was the image pushed?",
        fix="Look at the message: the registry, the network, the node's disk. " + CONTINUES,
    )


_CAUSES = (
    (_NO_PLATFORM, _image_platform_missing, False),
    (_RATE_LIMIT, _image_pull_throttled, True),
    (_MISNAMED_OR_UNTRUSTED, _image_registry_unreachable, False),
    (_UNREACHABLE, _image_registry_unreachable, True),
    (_DENIED, _image_pull_denied, False),
    (_NOT_FOUND, _image_not_found, False),
)
"""The pattern, the cause, and whether it may pass when the cluster tries again. The first that fits counts."""
