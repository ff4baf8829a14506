"""What a day and a month would cost: warehouse and providers, from counted statements and a reviewed list of prices."""

from rekindle.estimate.builds import Builds, read_builds
from rekindle.estimate.cost import Estimate, Workload, estimate
from rekindle.estimate.day import MeasuredDay, measure_day

__all__ = ["Builds", "Estimate", "MeasuredDay", "Workload", "estimate", "measure_day", "read_builds"]
