"""The model as a service on this machine: a web page, an API, the Open Inference Protocol.

It needs the extra `serve`. Requests from all clients are scored together; uploads stay in memory; the service itself
asks nothing of any other machine.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
