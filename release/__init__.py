"""What the release workflow calls: Python's own library and git only, so that a release installs nothing."""


class CannotRelease(Exception):  # noqa: N818  names what happened
    """Why not, and what to do."""
