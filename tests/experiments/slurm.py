"""A Slurm of four small programs: it runs arrays, signals jobs, queues them again."""

import os
import signal
import stat
import sys
from pathlib import Path

SBATCH = """
import os, re, shutil, subprocess, sys
from pathlib import Path

here, script = Path(os.environ["FAKE_SLURM"]), Path(sys.argv[1])
text = script.read_text()
shutil.copy(script, here / "submitted.sh")
array = re.search(r"--array=0-(\\d+)", text)
for task in range(int(array.group(1)) + 1 if array else 1):
    own = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": str(task)} if array else {}
    own |= {"SLURM_JOB_ID": str(12 + task), "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}
    own |= {"SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "localhost"}
    command = [sys.executable, str(here / "node.py"), f"12_{task}" if array else "12", str(here / "submitted.sh")]
    with (here / f"node-{task}.txt").open("w") as log:
        subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, start_new_session=True)
print("Submitted batch job 12")
"""
NODE = """
import subprocess, sys
from pathlib import Path

job, script = sys.argv[1:]
here = Path(script).parent
while True:
    batch = subprocess.Popen(["bash", script], start_new_session=True)
    (here / f"batch-{job}").write_text(str(batch.pid))
    batch.wait()
    if not (here / f"requeue-{job}").exists():
        break
    (here / f"requeue-{job}").unlink()
"""
SRUN = """
import os, sys

words = sys.argv[1:]
while words[0].startswith("--"):
    words = words[1:] if words[0] == "--unbuffered" else words[2:]
os.execvp(words[0], words)
"""
SACCT = """
print("JobID|State|NodeList")
for job in ("12", "12_0", "12_1"):
    print(f"{job}|RUNNING|localhost")
"""
SCONTROL = """
import os, sys
from pathlib import Path

here = Path(os.environ["FAKE_SLURM"])
with (here / "scontrol.txt").open("a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
(here / f"requeue-{sys.argv[2]}").touch()
"""


def install(here: Path) -> dict[str, str]:
    """Lay the programs into `here`; the environment that finds them."""
    here.mkdir()
    (here / "node.py").write_text(NODE)
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scontrol": SCONTROL}.items():
        (here / name).write_text(f"#!{sys.executable}\n{text}")
        (here / name).chmod(stat.S_IRWXU)
    return {"FAKE_SLURM": str(here), "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}


def preempt(batch: int, *signals: signal.Signals) -> int:
    """Send every process of a job but its batch shell the signals, as Slurm does; how many processes there were."""
    members = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    members = [pid for pid in members if pid != batch and _group(pid) == batch]
    for number in signals:
        for pid in members:
            os.kill(pid, number)
    return len(members)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None
