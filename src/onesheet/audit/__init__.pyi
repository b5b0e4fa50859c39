from .auditing import audit as audit
