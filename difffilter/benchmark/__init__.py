"""The comparison: studies, the runner that carries them out, and reports of their results."""
