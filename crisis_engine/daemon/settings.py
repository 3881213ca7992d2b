"""What whoever starts a daemon may choose; every number here is our own (D) and stands in docs/daemon.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crisis_engine.notify import Channel

LISTEN = "127.0.0.1:9300"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a daemon runs."""

    version: str = ""                    # of the package, for those who look at all daemons
    listen: str = LISTEN                 # host:port of health and metrics; "none" for no server, port 0 for any free one
    listen_must: bool = False            # somebody asked for that port: without it the daemon does not begin
    ping_url: str = field(default="", repr=False)   # a secret, fetched after a successful round, for a dead-man's switch elsewhere
    ping_every: float = 60.0
    workers: int = 1                     # processes that drain a large backlog together, this one included
    poll: float = 0.2                    # seconds after which a deadline is seen that another process armed …
    poll_called: float = 1.0             # … and where the database calls when one is
    beat: float = 5.0                    # seconds between two signs of life
    stuck_after: float = 60.0            # a round without progress for so long ends the process
    drain: float = 10.0                  # seconds that running work gets to finish at the end
    trust_clock: bool = False            # believe the clock at the start, whatever the last round's time was …
    started_by: str = "operator"         # … on the word of this person, or of whoever runs the machine
    exit_when_aside: bool = False
    once: bool = False                   # everything once, then end
    seal_key_file: Path | None = None
    channels: Callable[[], tuple[Channel, ...]] | None = None   # reads the channels' file again; None keeps those the engine has
