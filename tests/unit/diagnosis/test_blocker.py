"""The latest event decides, in whichever order events come."""

from __future__ import annotations

from typing import Any

from tests.builders import event, job, view
from tests.unit.diagnosis.examples import reasons

Raw = dict[str, Any]


POLICY = "ValidatingAdmissionPolicy 'signed-images' with binding 'everywhere' denied request: images must be signed"
SMALL_QUOTA = "exceeded quota: compute, requested: requests.cpu=4, used: requests.cpu=0, limited: requests.cpu=2"


def test_the_refusal_that_counts_is_the_latest_in_whatever_order_events_come():
    early = event("FailedCreate", f'Error creating: pods "x" is forbidden: {SMALL_QUOTA}', "nightly", seconds=10)
    late = event("FailedCreate", f'Error creating: pods "x" is forbidden: {POLICY}', "nightly", seconds=20)

    assert reasons(view(job(), events=[late, early])) == reasons(view(job(), events=[early, late]))
    assert reasons(view(job(), events=[late, early])) == [("PodRefused", True)]
