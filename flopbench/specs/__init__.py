"""The hardware table: sourced facts about processors and GPUs, what a Machine is in it, and the theoretical peak Rpeak."""
