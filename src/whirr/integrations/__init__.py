"""Bridges to other tools; they use only what ``import whirr`` offers."""
