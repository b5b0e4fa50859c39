from .audit_page import write_audit as write_audit
