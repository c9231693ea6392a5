"""`python -m undertone_client.testing`: the fake service as a process; prints the port that it listens on."""

import asyncio
import signal

import click

from undertone_client.testing.classifier import FakeClassifier


@click.command(help="Serve made-up emotions on a loopback port; prints the port, stops with SIGTERM or SIGINT.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port; 0 takes a free one.")
@click.option("--delay", type=click.FloatRange(min=0), default=0.0, help="Seconds that every answer is held back.")
@click.option("--model-version", type=click.IntRange(min=1), default=1, help="Version that replies name.")
def serve(port: int, delay: float, model_version: int) -> None:
    """Run the service until a signal arrives."""
    asyncio.run(_serve(port, delay, model_version))


async def _serve(port: int, delay: float, model_version: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with FakeClassifier(port=port, delay_seconds=delay, version=model_version) as service:
        click.echo(service.port)
        await stopped.wait()


if __name__ == "__main__":
    serve()
