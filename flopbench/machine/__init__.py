"""What this host is: detected, never assumed; what is unknown stays unknown, with the reason."""
