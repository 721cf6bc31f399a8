"""What a run came to, for machines: a JSON document (`result.py`), JUnit's XML (`junit.py`)."""
