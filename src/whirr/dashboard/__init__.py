"""The pages that a server shows, and what they ask it for (``/ui/...``)."""
