"""The sidecar under a profiler, as a process: of its event loop, into a file that pstats reads.

python -m undertone_bench.profiled FILE SIDECAR_FLAG...
"""

import cProfile
import sys

from undertone_sidecar.__main__ import main

if __name__ == "__main__":
    profile = cProfile.Profile()
    try:
        profile.runcall(main, sys.argv[2:])
    finally:
        profile.dump_stats(sys.argv[1])
