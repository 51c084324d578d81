"""What a command takes, and what a folder weighs: shared by peers.py, series.py and limits.py."""
import mmap
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DBDIFF = ROOT / "tests/tools/dbdiff.py"
SIDE_FILES = ("-wal", "-shm", "-journal")


class Failed(Exception):
    """A command that was needed did not succeed; the text says which and why."""


def run(command, variables=None):
    """Runs a line of shell to its end -> {"wall", "cpu", "peak_mib"}.

    CPU is user + system of all its processes, the peak that of the largest one. GNU time stands between, because a
    process begins with the peak of the one that started it, and Python's own is larger than some of the tools'."""
    os.sync()       # what the command before has left to be written must not be paid by this one
    with tempfile.TemporaryDirectory() as scratch:
        peak, errors = Path(scratch, "peak"), Path(scratch, "errors")
        argv = ["/usr/bin/time", "-q", "-f", "%M", "-o", str(peak), "bash", "-o", "pipefail", "-c", command]
        env = os.environ | {name: str(value) for name, value in (variables or {}).items()}
        with errors.open("wb") as stderr:
            begun = time.perf_counter()
            child = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr)
            _, status, usage = os.wait4(child.pid, 0)
            wall = time.perf_counter() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            set_here = " ".join("%s=%s" % (k, shlex.quote(str(v))) for k, v in (variables or {}).items())
            raise Failed("exit %d: %s\n  where %s\n%s" % (
                child.returncode, command, set_here, errors.read_text(errors="replace")[-2000:]))
        return {"wall": round(wall, 3), "cpu": round(usage.ru_utime + usage.ru_stime, 3),
                "peak_mib": round(int(peak.read_text().split()[-1]) / 1024, 1)}


def touch_memory(gibibytes):
    """Takes so much memory and gives it back. In a virtual machine memory that was never used before is several times slower to
    get than other: whoever happens to get it first would pay for that."""
    if not gibibytes:
        return
    piece = 1 << 21
    taken = mmap.mmap(-1, gibibytes << 30)
    for at in range(0, len(taken), piece):
        taken[at:at + piece] = b"x" * piece
    taken.close()


def output(argv, **options):
    """Standard output of a program that must succeed."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode:
        raise Failed("exit %d: %s\n%s" % (done.returncode, shlex.join(map(str, argv)), done.stderr.decode(errors="replace")[-2000:]))
    return done.stdout


def folder_bytes(folder):
    """Sum of the lengths of all files below a folder."""
    return sum(path.lstat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())


def put(state, live):
    """Puts a state into place, as if an application had changed its file; leaves it in the page cache, and synced."""
    for end in SIDE_FILES:
        Path(str(live) + end).unlink(missing_ok=True)
    with open(state, "rb") as source, open(live, "r+b" if live.exists() else "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.truncate()
        os.fsync(target.fileno())


def python_of_dbdiff(venv=None):
    """The Python that has the module apsw: LARDER_TEST_PYTHON, that of the venv, or this one."""
    of_venv = Path(venv, "bin/python") if venv else None
    python = os.environ.get("LARDER_TEST_PYTHON") or (of_venv if of_venv and of_venv.exists() else sys.executable)
    output([python, "-c", "import apsw"])       # better now than after an hour
    return python


def differences(python, left, right, ignore=""):
    """What dbdiff.py finds different between two databases: "" when they are equal."""
    argv = [str(python), str(DBDIFF)] + (["--ignore", ignore] if ignore else []) + [str(left), str(right)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1):
        raise Failed("exit %d: %s\n%s" % (done.returncode, shlex.join(argv), done.stderr.decode(errors="replace")[-2000:]))
    return done.stdout.decode(errors="replace") or "different" if done.returncode else ""


def about_this_run():
    """When, of which commit, on what kind of machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    git = ["git", "-C", ROOT]
    commit = output(git + ["rev-parse", "--short", "HEAD"]).decode().strip()
    changed = output(git + ["status", "--porcelain", "--untracked-files=no"]).strip()
    return {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit + (" and changes" if changed else ""),
            "machine": "%d cores, %.0f GiB" % (os.cpu_count(), memory)}
