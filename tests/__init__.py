"""All tests. What the shared helpers assert is told in full when it fails, as in a test."""

import pytest

pytest.register_assert_rewrite("tests.support.cli", "tests.support.service", "tests.support.workers")
