"""The providers by the name that settings give them."""

from channels.whatsapp.dialog360 import Dialog360
from channels.whatsapp.meta import Meta
from channels.whatsapp.twilio import Twilio
from channels.whatsapp.wire import Adapter

ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (Meta(), Dialog360(), Twilio())}
