"""Executors: what starts, watches and stops the processes of jobs. They know no hub and no store."""
