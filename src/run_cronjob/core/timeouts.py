"""Every limit on a wait, in seconds; passed in, so that tests can choose shorter ones.

Pauses between attempts, page sizes and byte limits stay in the modules that use them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """The longest time for each wait, in seconds."""

    # --- one request, to any host

    connect: int = 5  # connecting
    read: int = 15  # each read from the socket, until an answer is complete

    # --- until the Job exists: all attempts of one step, with the pauses between them

    oidc: float = 15  # requesting the OIDC token from GitHub
    sts: float = 20  # AssumeRoleWithWebIdentity of AWS STS
    eks: float = 15  # DescribeCluster of AWS EKS
    kube_read: float = 20  # one read from the Kubernetes API, such as a page of the LIST of Jobs
    create: float = 40  # creating the Job
    until_created: float = 110  # all of these steps together; with the report it stays under two minutes
    post_answer: float = 1.0  # the answer to a POST that was sent before a signal or the deadline

    # --- following the Job

    watch: int = 50  # one watch (`timeoutSeconds`); the next one shows that the connection works
    watch_silence: float = 60  # a watch without a byte; after that its connection counts as dead
    log_silence: float = 30  # a log stream without a byte; after that the log is requested again
    refusal: float = 300  # refusals such as 401, in a row: an API server that is starting refuses all requests
    last_look: float = 5  # reading pods and events once more after the Job's end
    log_news: float = 5  # the pod status after a container's log has ended, or the end of the log before it
    drain: float = 30  # the rest of the logs after the Job's end, counted from the last line
    token_refresh: float = 600  # using one bearer token; EKS tokens expire after 900
    token_refresh_retry: float = 20  # using the old bearer token after a refresh that failed, before the next attempt

    # --- at the end; the runner kills the step 7.5 + 2.5 s after its SIGINT

    delete: float = 3.0  # deleting the Job of a cancelled run
    slow_reader_after_signal: float = 2.0  # writing the end of the log to a slow reader, after a signal
    slow_reader: float = 60.0  # writing the end of the log to a slow reader, without a signal
    leave_after_signal: float = 4.5  # from a signal to the end of the process
    leave_after_deadline: float = 90.0  # from the deadline to the end of the process
