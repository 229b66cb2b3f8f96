"""Runs the real role `personalise`: profile, carts, dedupe, triggers, policy, public view; only group and changelog are new."""

from __future__ import annotations

import msgspec

from benchmarks.job import Job, Progress
from benchmarks.programs.ours import changelog_of, run_lanes, settings_of
from benchmarks.work_unit import Profile
from workers.adapters.kafka.broadcast_state import Follower
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.roles.personalise import lane_spec


def run(job: Job, progress: Progress) -> None:
    """Runs the role like workers.main; it reads `customer.events` of the installation `job.prefix`."""
    settings = settings_of(job)
    follower = Follower(settings)
    follower.start()
    spec = lane_spec(settings, load_playbook(settings), lambda: follower.current)
    spec = msgspec.structs.replace(spec, role=job.name, group=job.prefix + job.name, changelog=changelog_of(job))
    run_lanes(job, progress, spec, settings)


def final_state(job: Job) -> dict[str, Profile] | None:
    """Returns None: its profiles are not those of the work unit; the project's tests check them."""
    del job
    return None  # there is nothing to compare
