"""How long an example takes says something of the machine, nothing of the code.

The examples are the same on every machine, so that what fails in CI fails here. To look for others: `derandomize=False`
and a `max_examples` of thousands.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("unit", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")
