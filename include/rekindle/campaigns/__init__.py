"""Campaigns as code: what a campaign file may say, reading it, and judging it before anything is sent."""
