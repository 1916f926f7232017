"""What computing costs: operations, memory, energy. Plain torch and the machine's own counters."""
