"""Images larger than memory, block by block: each with as much of its surroundings as it takes."""
