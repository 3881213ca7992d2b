"""The random lives of tests/test_machine.py on a real PostgreSQL server, two engines side by side: fewer, for each step costs more."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest

from tests.machine import OneLife
from tests.postgres import Server
from tests.test_machine import SOAK, run

EXAMPLES = 2_000 if SOAK else 4


class OnServer(OneLife):
    """The few children, each life in a database of its own on the server; their files lie in the life's folder."""

    server: ClassVar[Server]
    template: ClassVar[tuple[str, Path]]
    seen: ClassVar[Counter[str]] = Counter()

    def place(self) -> tuple[str, Path | str]:
        original, home = self.template
        self.name = self.server.create(original)
        for file in home.iterdir():
            shutil.copy(file, self.folder / file.name.replace(original, self.name, 1))
        self._home = pytest.MonkeyPatch()
        self._home.setenv("CRISIS_HOME", str(self.folder))
        url = self.server.url(self.name)
        return url, url

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._home.undo()
            self.server.drop(self.name)


@pytest.fixture
def machine(postgres_server: Server, postgres_template: tuple[str, Path]) -> type[OnServer]:
    """Give the machine with its server."""
    OnServer.server, OnServer.template = postgres_server, postgres_template
    return OnServer


def test_no_promise_breaks_on_a_server_in_the_long_lives_of_a_few_cases(machine: type[OnServer]) -> None:
    run(machine, EXAMPLES)
