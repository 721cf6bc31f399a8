"""That orchestrate survives: killed at any moment, refused, hung up on, interrupted, side by side.

The tests here run with all others. Each also records what it measured as a row of a table,
and `make reliability` makes docs/reliability.md of the rows: see `record.py`.
"""

import pytest

pytest.register_assert_rewrite("tests.reliability.scenes", "tests.reliability.world")
