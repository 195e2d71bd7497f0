"""The tools of a checkout that make presets; not installed."""
