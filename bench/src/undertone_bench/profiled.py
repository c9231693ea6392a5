"""The sidecar under a profiler, as a process: CPU seconds of its event loop's thread, into a file that pstats reads.

python -m undertone_bench.profiled FILE SIDECAR_FLAG...
"""

import cProfile
import sys
import time

from undertone_sidecar.__main__ import main

if __name__ == "__main__":
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(main, sys.argv[2:])
    finally:
        profile.dump_stats(sys.argv[1])
