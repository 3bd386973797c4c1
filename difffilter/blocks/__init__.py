"""Images larger than memory, folders of images, and clusters."""
