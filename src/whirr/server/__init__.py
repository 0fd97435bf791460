"""The server: ``LocalHub`` with routes in front."""
