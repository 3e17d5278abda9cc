"""How long it takes from a process's start to a Job, beside what people do instead; `make bench`."""
