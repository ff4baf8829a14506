"""The warehouse as the domain sees it: statements by name, run in one transaction. One file per engine."""

from rekindle.warehouse.ports import Transaction, Warehouse
from rekindle.warehouse.settings import WarehouseSettings, open_warehouse

__all__ = ["Transaction", "Warehouse", "WarehouseSettings", "open_warehouse"]
