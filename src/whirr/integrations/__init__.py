"""Bridges to other tools; they use only what whirr offers to everybody."""
