"""Stand-ins for Koji and Amplitude: strict, synthetic, on this machine."""

from connector.sandbox.app import create_sandbox
from connector.sandbox.options import SandboxOptions, WebhookEndpoint
from connector.sandbox.state import Sandbox

__all__ = ["Sandbox", "SandboxOptions", "WebhookEndpoint", "create_sandbox"]
