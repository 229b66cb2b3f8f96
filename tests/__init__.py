"""All tests. What the shared helpers assert is told in full when it fails, as in a test."""

import pytest

pytest.register_assert_rewrite("tests.support_cli", "tests.support_service", "tests.support_workers")
