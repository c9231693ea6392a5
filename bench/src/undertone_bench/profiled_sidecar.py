"""The sidecar under cProfile: CPU seconds of its event loop's thread, written to a file for pstats.

python -m undertone_bench.profiled_sidecar FILE SIDECAR_FLAG...
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
