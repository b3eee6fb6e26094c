"""reasonlens."""
