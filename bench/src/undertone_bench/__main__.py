"""`python -m undertone_bench` is the command `undertone-bench`."""

from undertone_bench.cli import main

if __name__ == "__main__":
    main(prog_name="undertone-bench")
