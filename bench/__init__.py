"""`make bench` measures the time from a process's start to a Job, for run-cronjob and for what people use instead."""
