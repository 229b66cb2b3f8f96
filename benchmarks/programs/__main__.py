"""Runs one program: `python -m benchmarks.programs MODULE JOB` (JSON of benchmarks.job.Job)."""

import sys

import msgspec

from benchmarks.job import Job, Progress
from benchmarks.programs import module_of

if __name__ == "__main__":
    module, text = sys.argv[1:3]
    del sys.argv[1:]  # Faust reads them
    job = msgspec.json.decode(text, type=Job)
    module_of(module).run(job, Progress(job.progress))
