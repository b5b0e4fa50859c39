"""The model as a service on this machine: a web page, an API, the Open Inference Protocol.

It needs the extra `serve`. Requests from all clients are scored together; uploads stay in memory; the service itself
asks nothing of any other machine.
"""

from onesheet.apps.serving.app import create_app
from onesheet.apps.serving.limits import Limits
from onesheet.apps.serving.server import serve

__all__ = ["Limits", "create_app", "serve"]
