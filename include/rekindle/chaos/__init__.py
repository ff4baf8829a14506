"""Sends that never repeat, proved by killing the sender: real processes, a real warehouse file, a real SIGKILL.

    history (from a seed) → ordeals on one ground → settle → checker

`rekindle chaos` runs it; see docs/chaos.md. Everything happens in folders and on ports of its own, with made-up people.
"""
