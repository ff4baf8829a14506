"""Task bodies as plain functions; `dags/` decorates and wires them. Each is one transaction or one protocol: safe to
run again.
"""
