"""All jobs; a new one is a file beside this one and a line here."""

from jobs import holds, partitions
from jobs.job import Job

JOBS: tuple[Job, ...] = (partitions.JOB, holds.JOB)
