"""Files and arrays: reading, writing, and what goes with the pixels."""
