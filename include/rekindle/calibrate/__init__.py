"""Weights and half-lives fitted on past dates: a proposal beside a report, never the reviewed seed itself."""
