"""Environments of the peers: each has its own, built once in a cache folder outside the repository."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

TORCH = "torch==2.13.0"
"""Goes first and alone: what asks for just any torch gets a build for GPUs, gigabytes large."""

REQUIREMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "econirl": ((TORCH,), ("econirl==0.1.1",)),
    "imitation": ((TORCH,), ("imitation==1.0.1",)),
    "msdm": ((TORCH,), ("msdm==0.11",)),
    "numpyro": (("numpyro==0.22.0", "jax[cpu]==0.10.2"),),
    "quantecon": (("quantecon>=0.11",),),
    "stable_baselines3": ((TORCH,), ("stable-baselines3==2.9.2", "gymnasium[box2d]==1.4.0")),
}
"""What each environment holds, in the order of installation."""

_STAMP = "installed.json"
_PATIENCE_S = 1800


def default_folder() -> Path:
    """Return the folder of the environments where none is given."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "humansoft-benchmarks"


class InstallationError(Exception):
    """An environment could not be built; the message says why."""


@dataclass
class Environments:
    """Environments in a folder, each built when it is first asked for.

    Attributes:
        folder: where they are.
        failed: why an environment could not be built, so that nobody waits for it twice.
    """

    folder: Path
    failed: dict[str, str] = field(default_factory=dict)

    def python(self, name: str) -> Path:
        """Return the Python of an environment.

        Raises:
            InstallationError: it could not be built, now or before.
        """
        if name not in self.failed:
            try:
                return self._built(name)
            except (subprocess.SubprocessError, OSError) as error:
                self.failed[name] = _reason(error)
        raise InstallationError(f"{name} cannot be installed: {self.failed[name]}")

    def _built(self, name: str) -> Path:
        home = self.folder / name
        python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        stamp, wanted = home / _STAMP, [list(step) for step in REQUIREMENTS[name]]
        if stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == wanted and python.exists():
            return python
        print(f"building the environment of {name} in {home} ...", file=sys.stderr, flush=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        _call(sys.executable, "-m", "venv", str(home))
        for step in wanted:
            _call(str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *step)
        stamp.write_text(json.dumps(wanted), encoding="utf-8")
        return python


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE_S)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line for line in str(error.stderr).splitlines() if line.startswith("ERROR")]
        return lines[-1] if lines else f"{error.cmd[0]} ended with {error.returncode}"
    return f"{type(error).__name__}: {error}"
