"""The reasons of failures: the values of the output `reason` and the headings of docs/troubleshooting.md."""

from enum import StrEnum


class Reason(StrEnum):
    """The reason of a failure, in the order of the table in docs/troubleshooting.md."""

    # Inputs and the workflow file
    INVALID_INPUT = "InvalidInput"
    NO_ID_TOKEN_PERMISSION = "NoIdTokenPermission"  # noqa: S105  a reason, no secret
    INVALID_KUBECONFIG = "InvalidKubeconfig"
    KUBECONFIG_UNREADABLE = "KubeconfigUnreadable"
    CA_BUNDLE_UNREADABLE = "CaBundleUnreadable"
    # Network
    PROXY_REFUSED = "ProxyRefused"
    CERTIFICATE_REJECTED = "CertificateRejected"
    OIDC_UNAVAILABLE = "OidcUnavailable"
    REGION_UNKNOWN = "RegionUnknown"
    AWS_UNREACHABLE = "AwsUnreachable"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    NOT_KUBERNETES = "NotKubernetes"
    # AWS role
    ROLE_REFUSED = "RoleRefused"
    NO_OIDC_PROVIDER = "NoOidcProvider"
    WRONG_AUDIENCE = "WrongAudience"
    TOKEN_REJECTED = "TokenRejected"  # noqa: S105  a reason, no secret
    TOKEN_EXPIRED = "TokenExpired"  # noqa: S105  a reason, no secret
    SESSION_TOO_LONG = "SessionTooLong"
    REGION_DISABLED = "RegionDisabled"
    NO_AWS_CREDENTIALS = "NoAwsCredentials"
    AWS_CREDENTIALS_REJECTED = "AwsCredentialsRejected"
    AWS_THROTTLED = "AwsThrottled"
    AWS_FAILED = "AwsFailed"
    # EKS cluster
    CLUSTER_NOT_FOUND = "ClusterNotFound"
    DESCRIBE_CLUSTER_DENIED = "DescribeClusterDenied"
    CLUSTER_NOT_READY = "ClusterNotReady"
    # Access to the cluster
    UNAUTHORIZED = "Unauthorized"
    FORBIDDEN = "Forbidden"
    API_THROTTLED = "ApiThrottled"
    API_FAILED = "ApiFailed"
    # CronJob
    CRONJOB_NOT_FOUND = "CronJobNotFound"
    NAMESPACE_NOT_FOUND = "NamespaceNotFound"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    # Unfinished runs
    ALREADY_RUNNING = "AlreadyRunning"
    CANNOT_LIST_JOBS = "CannotListJobs"
    # Creating the Job
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_REFUSED = "AdmissionRefused"
    WEBHOOK_FAILED = "WebhookFailed"
    DRY_RUN_UNSUPPORTED = "DryRunUnsupported"
    JOB_REFUSED = "JobRefused"
    NAME_TAKEN = "NameTaken"
    CREATION_UNCERTAIN = "CreationUncertain"
    # Before there is a pod
    JOB_SUSPENDED = "JobSuspended"
    POD_QUOTA_EXCEEDED = "PodQuotaExceeded"
    LIMIT_RANGE_REFUSED = "LimitRangeRefused"
    POD_SECURITY_REFUSED = "PodSecurityRefused"
    POD_REFUSED = "PodRefused"
    POD_WEBHOOK_FAILED = "PodWebhookFailed"
    SERVICE_ACCOUNT_MISSING = "ServiceAccountMissing"
    PRIORITY_CLASS_MISSING = "PriorityClassMissing"
    RUNTIME_CLASS_MISSING = "RuntimeClassMissing"
    # No node
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_CLAIM_MISSING = "VolumeClaimMissing"
    VOLUME_FAILED = "VolumeFailed"
    SCHEDULING_GATED = "SchedulingGated"
    # On the node, before it runs
    IMAGE_NAME_INVALID = "ImageNameInvalid"
    IMAGE_NOT_FOUND = "ImageNotFound"
    IMAGE_PULL_DENIED = "ImagePullDenied"
    IMAGE_REGISTRY_UNREACHABLE = "ImageRegistryUnreachable"
    IMAGE_PULL_THROTTLED = "ImagePullThrottled"
    IMAGE_PLATFORM_MISSING = "ImagePlatformMissing"
    IMAGE_NEVER_PULLED = "ImageNeverPulled"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONFIG_MAP_MISSING = "ConfigMapMissing"
    SECRET_MISSING = "SecretMissing"  # noqa: S105  a reason, no secret
    RUNS_AS_ROOT = "RunsAsRoot"
    CONTAINER_NOT_CREATED = "ContainerNotCreated"
    START_FAILED = "StartFailed"
    POD_SANDBOX_FAILED = "PodSandboxFailed"
    # The program failed
    CONTAINER_FAILED = "ContainerFailed"
    INIT_CONTAINER_FAILED = "InitContainerFailed"
    OOM_KILLED = "OOMKilled"
    CONTAINER_KILLED = "ContainerKilled"
    # The cluster ended the pod
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    DRAINED = "Drained"
    NODE_LOST = "NodeLost"
    NODE_REFUSED = "NodeRefused"
    POD_DISRUPTED = "PodDisrupted"
    # The Job failed, and no more is known
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    POD_FAILURE_POLICY = "PodFailurePolicy"
    FAILED_INDEXES = "FailedIndexes"
    MAX_FAILED_INDEXES_EXCEEDED = "MaxFailedIndexesExceeded"
    JOB_FAILED = "JobFailed"
    # Following the Job
    CANNOT_FOLLOW = "CannotFollow"
    TIMED_OUT = "TimedOut"
    JOB_DELETED = "JobDeleted"
    LOST_SIGHT = "LostSight"
    NOT_DELETED = "NotDeleted"
    # The run itself
    CANCELLED = "Cancelled"
    TOOK_TOO_LONG = "TookTooLong"
    UNEXPECTED = "Unexpected"
