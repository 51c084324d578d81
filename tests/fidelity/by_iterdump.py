#!/usr/bin/env python3
"""by_iterdump.py FROM TO: copies a database by what Python itself offers: iterdump() into executescript().

`by_iterdump.py --version` prints the version of the SQLite library in use."""
import platform
import sqlite3
import sys


def main():
    if sys.argv[1:] == ["--version"]:
        print("Python %s, SQLite %s" % (platform.python_version(), sqlite3.sqlite_version))
        return
    source = sqlite3.connect(sys.argv[1])
    script = "\n".join(source.iterdump())
    source.close()
    target = sqlite3.connect(sys.argv[2])
    target.executescript(script)
    target.commit()
    target.close()


if __name__ == "__main__":
    main()
