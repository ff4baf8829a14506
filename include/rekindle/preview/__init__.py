"""What one lead would read, before anybody is written to."""

from rekindle.preview.sequence import PreviewedMessage, PreviewedStep, preview_sequence, sample_lead

__all__ = ["PreviewedMessage", "PreviewedStep", "preview_sequence", "sample_lead"]
