"""Why an image can't be pulled, and whether that can pass by itself.

The scheduler's, admission's and Job controller's texts come from a real control plane (1.37.2; the taint in the
scheduler's is 1.33's), the kubelet's and containerd's from their sources and from reports of EKS users.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import IMAGE, LATER, UNPACK, after, ended, event, job, pod, view, waits
from tests.unit.diagnosis.examples import only_blocker, reasons

Raw = dict[str, Any]


@pytest.mark.parametrize(
    ("why", "reason", "certain"),
    [
        (f"rpc error: code = NotFound desc = {UNPACK}{IMAGE}: not found", "ImageNotFound", True),
        (
            f"{UNPACK}pull access denied, repository does not exist or may require authorization: insufficient_scope",
            "ImagePullDenied",
            True,
        ),
        (
            f"{UNPACK}unexpected status from HEAD request to https://registry.example: 403 Forbidden",
            "ImagePullDenied",
            True,
        ),
        (f"{UNPACK}failed to authorize: failed to fetch oauth token: 401 Unauthorized", "ImagePullDenied", True),
        (f"{UNPACK}no basic auth credentials", "ImagePullDenied", True),
        (
            f'{UNPACK}failed to do request: Head "https://r.example": dial tcp: lookup r.example: no such host',
            "ImageRegistryUnreachable",
            True,
        ),
        (f"{UNPACK}failed to do request: Head: dial tcp 10.0.0.9:443: i/o timeout", "ImageRegistryUnreachable", False),
        (f"{UNPACK}failed to authorize: Get: dial tcp: connection refused", "ImageRegistryUnreachable", False),
        (f"{UNPACK}tls: x509: certificate signed by unknown authority", "ImageRegistryUnreachable", True),
        (f"{UNPACK}unexpected status code: 502 Bad Gateway", "ImageRegistryUnreachable", False),
        (
            f"{UNPACK}429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
            "ImagePullThrottled",
            False,
        ),
        (
            f'failed to pull and unpack image "{IMAGE}": no match for platform in manifest: not found',
            "ImagePlatformMissing",
            True,
        ),
        ("failed to extract layer: no space left on device", "ImagePullFailed", False),
    ],
)
def test_a_failed_pull_is_reported_by_its_cause(why: str, reason: str, certain: bool):
    """A back-off says why in the container's message from 1.32 on, up to 1.31 in an event only."""
    new = waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {why}')
    old = waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')
    noted = event("Failed", f'Failed to pull image "{IMAGE}": {why}')
    first = waits("ErrImagePull", why)

    for status, events in ((new, []), (old, [noted]), (first, [])):
        known = view(job(), pod(phase="Pending", containers=[status]), events=events)
        assert reasons(known) == [(reason, False)]
        assert reasons(known, LATER) == [(reason, certain)]
        assert IMAGE in only_blocker(known).problem.what
        assert why in only_blocker(known).problem.said


def test_three_pulls_are_enough_to_call_an_image_missing():
    missing = waits("ErrImagePull", f"{UNPACK}{IMAGE}: not found")
    noted = event("Failed", f'Failed to pull image "{IMAGE}": {UNPACK}{IMAGE}: not found', count=3)

    assert reasons(view(job(), pod(phase="Pending", containers=[missing]), events=[noted])) == [("ImageNotFound", True)]


def test_after_a_long_init_container_the_next_image_has_its_two_minutes_too():
    missing = waits("ErrImagePull", f"{UNPACK}{IMAGE}: not found")
    known = view(job(), pod(phase="Pending", init=[ended(0, "Completed", "fetch", seconds=500)], containers=[missing]))

    assert reasons(known, after(600)) == [("ImageNotFound", False)]
    assert reasons(known, after(620)) == [("ImageNotFound", True)]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            waits("InvalidImageName", 'Failed to apply default image tag "Registry/X": invalid reference format'),
            "ImageNameInvalid",
        ),
        (
            waits("ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never'),
            "ImageNeverPulled",
        ),
    ],
)
def test_what_cannot_pass_is_lasting_at_once(status: Raw, reason: str):
    assert reasons(view(job(), pod(phase="Pending", containers=[status])), after(3)) == [(reason, True)]
