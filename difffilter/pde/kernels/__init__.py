"""Jitted loops: a file named after an equation states it plainly, the other files make it fast.

- `perona_malik`: plain explicit steps; the heat equation is the case g = 1. `strips` takes many steps
  at a time, using `hills_and_valleys`, `face_flux` and a step for the general case (`step_lines`),
  for one channel (`step_rows`) or for three (`step_colours`). For a diffusivity from the smoothed
  image there are `pixel_diffusivity` and, in one pass through memory, `presmoothed` with
  `presmoothed_stages`. `implicit` takes implicit steps.
- `anisotropic`: tensor diffusion, with `gaussian`. `tensor_plane` and `tensor_plane_faces` are faster
  in the plane; `tensor_volume` computes the links in volumes.
- Every other equation: one file, plain and fast enough.
- `common`: shared by all of them. `address`: calls of compiled functions by address; `cache`: compiled
  code on disk; `threads`: parallel loops in threads and forked processes.
"""
