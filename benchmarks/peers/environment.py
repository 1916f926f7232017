"""Virtual environments of the peers, apart from our own: they pin versions that we do not want."""

import os
import subprocess
import sys
from pathlib import Path

from experiments.runs.provenance import ROOT

FOLDER = "INTERESTLAB_PEERS"
REQUIREMENTS = Path(__file__).resolve().parent


def peer_python(name: str) -> Path:
    """The interpreter of a peer, whose packages peers/NAME.txt lists; made on first use.

    Environments lie in the folder that INTERESTLAB_PEERS names, else in .venv-peers/ of the clone.
    """
    folder = Path(os.environ.get(FOLDER) or ROOT / ".venv-peers").expanduser().absolute() / name
    python = folder / "bin" / "python"
    finished = folder / "installed.txt"
    wanted = (REQUIREMENTS / f"{name}.txt").read_text("utf-8")
    if not finished.is_file() or finished.read_text("utf-8") != wanted:
        print(f"making the environment of {name} in {folder.name}/ (minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        words = ["-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS / f"{name}.txt")]
        subprocess.run([str(python), *words], check=True)
        finished.write_text(wanted, "utf-8")
    return python


def peer_versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions in a peer's environment."""
    program = "import importlib.metadata as m, sys; print(*(m.version(name) for name in sys.argv[1:]))"
    done = subprocess.run([str(python), "-c", program, *packages], check=True, capture_output=True, text=True)
    return dict(zip(packages, done.stdout.split(), strict=True))
