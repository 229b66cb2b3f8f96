"""The tests. Failing assertions of shared helpers are reported in full, as in a test."""

import pytest

pytest.register_assert_rewrite("tests.support.cli", "tests.support.service", "tests.support.workers")
