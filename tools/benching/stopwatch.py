"""Run one command and say what it cost: a process of its own, as small as Python gets.

The kernel's peak memory of a child begins with what its parent had at the fork, so the parent has to be small. Hence no
imports but these, and `python -I -S`. Usage: stopwatch.py FD COMMAND …; the figures are written to file descriptor FD.
"""

import os
import sys
import time


def main() -> None:
    """Write `wall user system peak-KiB exit-code`: of the command and of all descendants that were waited for."""
    report, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(report, False)
    began = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(process, 0)
    wall = time.perf_counter() - began
    figures = (wall, used.ru_utime, used.ru_stime, used.ru_maxrss, os.waitstatus_to_exitcode(status))
    os.write(report, " ".join(str(one) for one in figures).encode())


main()
