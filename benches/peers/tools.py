"""The tools of the table, each as a few lines of shell, and how they are installed.

A line sees $bin, $db (the database, always at one path), $base (its file name), $repo, $tag (name of the state), $out (an
empty folder), $cache (a folder that is kept between backups and counts apart from $repo)."""
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import Failed, output

PACKAGES = "restic zstd sqlite3 xz-utils time python3-venv python3-dev gcc"
FOR_BORG = "libacl1-dev liblz4-dev libxxhash-dev libssl-dev libzstd-dev pkg-config"
OF_PIP = ("borgbackup", "apsw")      # apsw is what tests/tools/dbdiff.py needs


@dataclass(frozen=True)
class Tool:
    program: str
    backup: str
    restore: str
    verify: str
    init: str = 'mkdir "$repo"'
    setup: str = ""
    also: tuple = ()                  # other programs that its lines need
    version: str = "--version"


def borg(chunks="", **more):
    lines = {"backup": '"$bin" create -C zstd,3 %s "$repo::$tag" "$db"' % chunks,
             "restore": 'cd "$out" && "$bin" extract "$repo::$tag"'} | more
    return Tool("borg", verify='"$bin" check --verify-data "$repo"', init='"$bin" init -e none "$repo"',
                setup='export BORG_BASE_DIR="$cache" BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes', **lines)


def copies(statement, **more):
    """One whole database for each snapshot."""
    each = 'for copy in "$repo"/*.db; do test "$("$bin" "$copy" "PRAGMA integrity_check")" = ok || exit 1; done'
    return Tool("sqlite3", backup='"$bin" "$db" "%s"' % statement, restore='cp "$repo/$tag.db" "$out/$base"', verify=each, **more)


UNPATCH = ('for step in "$repo"/*.zst; do if test -e "$out/$base"; then '
           '"$bin" -qd --long=30 --memory=2048MB --patch-from="$out/$base" "$step" -o "$out/next" && mv "$out/next" "$out/$base"; '
           'else "$bin" -qd --long=30 "$step" -o "$out/$base"; fi || exit 1; done')


def larder(check=""):
    return Tool("larder", backup='"$bin" -q backup "$db" --name "$tag"', restore='"$bin" -q restore latest --to "$out/$base"' + check,
                verify='"$bin" -q validate', init='"$bin" -q init', setup='export LARDER_STORE="$repo" LARDER_CACHE_DIR="$cache"')


TOOLS = {
    "larder": larder(),
    "larder, `--check none`": larder(" --check none"),
    "restic": Tool("restic", backup='"$bin" -q backup --tag "$tag" "$db"', restore='"$bin" -q restore latest --target "$out"',
                   verify='"$bin" -q check --read-data', init='"$bin" -q init', version="version",
                   setup='export RESTIC_REPOSITORY="$repo" RESTIC_CACHE_DIR="$cache" RESTIC_PASSWORD=x'),
    "borg": borg(),
    "borg fixed,4096": borg("--chunker-params fixed,4096"),
    "`.dump` into borg": borg(also=("sqlite3",), backup='sqlite3 "$db" .dump | "$bin" create -C zstd,3 '
                              '--chunker-params buzhash,10,23,16,4095 "$repo::$tag" -',
                              restore='"$bin" extract --stdout "$repo::$tag" | sqlite3 "$out/$base"'),
    "`.backup`": copies(".backup '$repo/$tag.db'"),
    "`VACUUM INTO`": copies("VACUUM INTO '$repo/$tag.db'"),
    "`.dump` to zstd": Tool("zstd", backup='sqlite3 "$db" .dump | "$bin" -q -3 -o "$repo/$tag.sql.zst"', also=("sqlite3",),
                            restore='"$bin" -qdc "$repo/$tag.sql.zst" | sqlite3 "$out/$base"', verify='"$bin" -qt "$repo"/*.zst'),
    # Every snapshot is a delta of the file against the one before, which is kept in $cache; restoring one needs all before it.
    "zstd patch chain": Tool("zstd", backup='if test -e "$cache/last"; then from=--patch-from=$cache/last; fi; '
                             '"$bin" -q -3 --long=30 $from "$db" -o "$repo/$tag.zst" && cp "$db" "$cache/last"',
                             restore=UNPATCH, verify=UNPATCH + '; rm "$out/$base"'),
}
# Names for the command line.
SHORT = {"larder": "larder", "larder-none": "larder, `--check none`", "restic": "restic", "borg": "borg", "borg-fixed": "borg fixed,4096", "dump-borg": "`.dump` into borg",
         "backup": "`.backup`", "vacuum-into": "`VACUUM INTO`", "dump-zstd": "`.dump` to zstd", "zstd-chain": "zstd patch chain"}


def chosen(words):
    unknown = [word for word in words if word not in SHORT]
    if unknown:
        raise Failed("no tool %s; there are: %s" % (", ".join(unknown), " ".join(SHORT)))
    return [SHORT[word] for word in words]


def install(venv):
    """Debian's packages, and borg with apsw in a venv. Needs root and the network."""
    apt = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    output(["apt-get", "install", "-y", "-qq", *PACKAGES.split(), *FOR_BORG.split()], env=apt)
    if not (venv / "bin/python").exists():
        output([sys.executable, "-m", "venv", venv])
    output([venv / "bin/pip", "install", "-q", "--disable-pip-version-check", *OF_PIP])


def binary(name, larder, venv):
    """The path of a tool's program, or None."""
    tool = TOOLS[name]
    if any(not shutil.which(program) for program in tool.also):
        return None
    if tool.program == "larder":
        return str(larder.resolve()) if larder.exists() else None
    of_venv = Path(venv, "bin", tool.program)
    return str(of_venv) if of_venv.exists() else shutil.which(tool.program)


def version(name, path):
    """'restic 0.14.0', out of what the program says about itself"""
    words = output([path, TOOLS[name].version]).decode(errors="replace").replace(",", " ").split()
    number = next((word for word in words if word.lstrip("v")[:1].isdigit() and "." in word), "?")
    return "%s %s" % (TOOLS[name].program, number.lstrip("v"))
