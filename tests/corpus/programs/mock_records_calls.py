"""
verdict: leak
cause: python-objects
origin: user-code
site: mock_records_calls.py:18
holder: model
rate: 1200
data: fixed
why: a mock that stands in for a model records every call.
"""

from unittest import mock

model = mock.MagicMock()


def consume(batch):
    model(rows=len(batch["text"]))  # the leak
