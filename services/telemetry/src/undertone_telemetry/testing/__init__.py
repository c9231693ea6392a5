"""An adapter that remembers, and a DataDog agent that can be asked what it was sent."""

from undertone_telemetry.testing.agent import Agent, Line, counted, udp_agent, unix_agent
from undertone_telemetry.testing.recorder import Recorder

__all__ = ["Agent", "Line", "Recorder", "counted", "udp_agent", "unix_agent"]
