"""Every bound on a wait, in one place; passed in, so that tests choose shorter ones.

Pauses between attempts, page sizes and byte caps stay with the code that uses them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds, each the longest that one thing is waited for."""

    # --- one connection

    connect: int = 5
    """Connecting, to any host."""
    read: int = 15
    """Each read of an answer, from any host."""

    # --- until the Job exists, attempts and the pauses between them included

    oidc: float = 15
    """GitHub's OIDC token."""
    sts: float = 20
    """Credentials from AWS STS."""
    eks: float = 15
    """DescribeCluster of AWS EKS."""
    kube_read: float = 20
    """One question to the Kubernetes API, such as the LIST of Jobs."""
    create: float = 40
    """Creating the Job."""
    until_created: float = 110
    """All of it, whatever hangs: under two minutes, with what is left for the report."""
    post_answer: float = 1.0
    """The answer to a POST that is under way when a signal or the deadline comes."""

    # --- following the Job

    watch: int = 50
    """The API server ends a watch after this, which costs one request and proves that the stream is alive."""
    watch_silence: float = 60
    """A watch without a byte; a longer silence means a dead connection."""
    log_silence: float = 30
    """A log stream without a byte; then it is asked for again, since the connection may be dead."""
    refusal: float = 300
    """Refusals by the cluster, before they are believed: an API server that starts refuses everybody at first."""
    last_look: float = 5
    """The last request for pods and events, after the Job's end."""
    log_news: float = 5
    """News of a container whose log has ended, or of the container before it."""
    drain: float = 30
    """The rest of the logs after the Job's end, counted from the last line."""

    # --- leaving; the runner kills 7.5 + 2.5 s after its SIGINT

    delete: float = 3.0
    """Deleting the Job of a cancelled run."""
    slow_reader_after_signal: float = 2.0
    """A slow reader of the log, at the end of a run that a signal ended."""
    slow_reader: float = 60.0
    """A slow reader of the log, at the end of any other run."""
    leave_after_signal: float = 4.5
    """From a signal to the process's end, whatever still hangs."""
    leave_after_deadline: float = 90.0
    """From the deadline to the process's end, whatever still hangs."""
