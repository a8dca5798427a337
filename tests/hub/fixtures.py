"""Fixtures around the loopback Hub: the Hub itself, and a process that loads from it.

A test module takes them with ``pytest_plugins = ["hub.fixtures"]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub.client import HubWorker, client_environment
from hub.server import LoopbackHub


@pytest.fixture(scope="session")
def hub() -> Iterator[LoopbackHub]:
    """A loopback Hub without repositories."""
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture(scope="session")
def hub_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """HF_HOME of the shared worker."""
    return tmp_path_factory.mktemp("hf-home")


@pytest.fixture(scope="session")
def hub_worker(
    hub: LoopbackHub, hub_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubWorker]:
    """A process that loads from the loopback Hub; its cache is shared, so take a repository of your own."""
    worker = HubWorker(client_environment(hub, hub_home), tmp_path_factory.mktemp("cwd"))
    yield worker
    assert worker.close()[0] == 0
