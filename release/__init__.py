"""What the release workflow calls: Python's own library only, so that a release installs nothing."""
