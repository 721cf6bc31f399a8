"""That orchestrate survives: killed at any moment, refused, hung up on, interrupted, side by side.

The tests here run with all others. Many also record what they measured as rows of tables, and
so do some elsewhere (drift, malformed input); `make reliability` runs just those and makes
docs/reliability.md of the rows: see `record.py`.
"""

import pytest

pytest.register_assert_rewrite("tests.reliability.scenes", "tests.reliability.world")
