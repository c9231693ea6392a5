"""The undertone-sidecar command."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from undertone_telemetry import logs

from undertone_sidecar.cpu import command
from undertone_sidecar.errors import ConfigurationError, ContractError, PortError, SettingsError
from undertone_sidecar.settings import Settings
from undertone_sidecar.sidecar import Sidecar

_EXIT_CODES: Mapping[type[ConfigurationError], int] = {SettingsError: 2, ContractError: 3, PortError: 4}
_CUT_OFF = 5
_PLAN = "plan"

log = logging.getLogger("undertone_sidecar")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs until a signal, or prints the plan; returns the exit code (see --help)."""
    # The tokenizer's own parallelism would put a thread on every core, beside the model server's; our pool is enough.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    given = sys.argv[1:] if arguments is None else arguments
    try:
        if given[:1] == [_PLAN]:
            return command.run(given[1:], os.environ)
        settings = Settings.parse(given, os.environ)
        logs.configure(settings.log_format, traced=settings.telemetry.traced)
        return 0 if asyncio.run(_run(settings)) else _CUT_OFF
    except ConfigurationError as error:
        print(f"undertone-sidecar: {error}", file=sys.stderr)
        return _EXIT_CODES[type(error)]


async def _run(settings: Settings) -> bool:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    sidecar = Sidecar(settings)
    try:
        await sidecar.start()
        return await sidecar.run(stop, hurry)
    finally:
        await sidecar.close()


if __name__ == "__main__":
    sys.exit(main())
