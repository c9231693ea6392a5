"""An adapter that remembers, a DataDog agent and a Pushgateway that can be asked what they were sent."""

from undertone_telemetry.testing.agent import Agent, Line, counted, udp_agent, unix_agent
from undertone_telemetry.testing.gateway import Gateway, Push, pushgateway
from undertone_telemetry.testing.recorder import Recorder

__all__ = ["Agent", "Gateway", "Line", "Push", "Recorder", "counted", "pushgateway", "udp_agent", "unix_agent"]
