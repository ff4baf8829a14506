"""Sending through a provider and asking it about numbers: the ports, and one file per provider.

Nothing here knows whether it talks to the provider or to the local stand-in: the base URL comes with the account.
"""
