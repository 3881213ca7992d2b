"""What the examples for running a daemon name exists: options, variables, meters, and what systemd and compose know."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from crisis_engine.cli.app import build
from crisis_engine.daemon.meter import Meter

yaml = pytest.importorskip("yaml")

FOLDER = Path(__file__).parent.parent / "examples" / "daemon"
UNIT = FOLDER / "crisis-daemon.service"


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def meters() -> set[str]:
    """Every name that Prometheus can ask for, those of parts included."""
    meter = Meter()
    meter.steps.labels("back")
    meter.jobs.labels("seal", "done")
    meter.pings.labels("done")
    meter.findings.labels("unfired")
    return set(re.findall(r"^(\w+)(?:\{|\s)", meter.text().decode(), re.MULTILINE))


def options() -> set[str]:
    daemon = build("en").commands["daemon"]
    return {option for param in daemon.params for option in param.opts}


def understood(command: list[str]) -> bool:
    """Whether the console knows a command line and its options."""
    at = command.index("daemon")
    return Path(command[at - 1]).name == "crisis" and {word for word in command[at + 1:] if word.startswith("--")} <= options()


def unit() -> RawConfigParser:
    parser = RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd minds capitals
    parser.read_string(read(UNIT.name))
    return parser


@pytest.mark.parametrize("text", ["alerts.yaml", "grafana.json"])
def test_every_meter_that_is_asked_for_is_there(text: str) -> None:
    asked = set(re.findall(r"\bcrisis_\w+", read(text)))
    assert len(asked) > 8
    assert asked - meters() - {"crisis_engine"} == set()


def test_every_alert_says_what_happened_and_what_to_do() -> None:
    (group,) = yaml.safe_load(read("alerts.yaml"))["groups"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    panels = json.loads(read("grafana.json"))["panels"]
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= own
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_unit_starts_a_command_that_exists_and_restarts_it_for_ever() -> None:
    service = unit()["Service"]
    assert understood(shlex.split(service["ExecStart"]))
    assert (service["Type"], service["Restart"]) == ("notify", "always")
    assert unit()["Unit"]["StartLimitIntervalSec"] == "0"
    assert int(service["TimeoutStopSec"]) > 10, "longer than the daemon drains"
    names = set(re.findall(r"\b(CRISIS_\w+)=", read(UNIT.name)))
    code = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.parent.glob("crisis_engine/**/*.py"))
    assert [name for name in names if name not in code] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd on this machine")
def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    text = read(UNIT.name).replace("/opt/crisis/bin/crisis", "/bin/true")   # verify wants the program to be there
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert ours == []


def test_compose_starts_two_daemons_that_drain_before_they_are_killed() -> None:
    whole: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    services = whole["services"]
    daemons = [one for one in services.values() if "daemon" in one.get("command", [])]
    assert len(daemons) == 2
    for one in daemons:
        assert understood(one["command"])
        assert one["restart"] == "always"
        assert int(one["stop_grace_period"].removesuffix("s")) > 10
        assert set(one["depends_on"]) <= set(services)
    mounted = {volume.partition(":")[0] for one in services.values() for volume in one["volumes"]}
    assert {volume for volume in mounted if volume[0] not in "./"} == set(whole["volumes"])
    assert not re.search(r"PASSWORD: (?!\$)", read("compose.yaml")), "no password in the file"


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker on this machine")
def test_docker_reads_the_compose_file() -> None:
    probe = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60, check=False)  # noqa: S607 (the system's)
    if probe.returncode:
        pytest.skip("this docker has no compose")
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "CRISIS_IMAGE": "x", "POSTGRES_PASSWORD": "x"}
    command = ["docker", "compose", "-f", str(FOLDER / "compose.yaml"), "config", "-q"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
