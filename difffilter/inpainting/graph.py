"""The pixels of holes as a graph: each linked to its neighbours along the axes, and coarser graphs.

A level of the hierarchy has n nodes. Node i has the link d, two for each axis, to the node
``neighbours[i, d]`` with the weight ``weights[i, d]``, and ``diagonal[i]`` is the sum of its links and of
those to pixels that are known. A link that is missing leads to the node n, which does not exist and counts as
0. Level 0 has a node for each pixel of a hole; a node of the next level stands for up to 2×2×2 nodes of this
one, so that links stay along the axes. Memory is in proportion to the holes, not to the image.
"""

from __future__ import annotations

import numpy as np

from difffilter.pde.kernels.common import inlined, kernel

__all__ = ["HOLE", "KNOWN", "OUTSIDE", "coarsen", "link", "reached", "sources", "widened"]

# The state of a pixel.
KNOWN, HOLE, OUTSIDE = range(3)

# No row or plane.
NONE = -1

# A link between coarse nodes is half the sum of the links between their pixels: their centres are twice as
# far apart.
SHORTER = 0.5


@inlined
def beside(state, z, y, x, axis, step):
    """The pixel beside one along an axis, and whether it is within the image."""
    if axis == 0:
        z += step
    elif axis == 1:
        y += step
    else:
        x += step
    depth, height, width = state.shape
    within = 0 <= z < depth and 0 <= y < height and 0 <= x < width
    return z, y, x, within


@kernel
def link(state, strengths):
    """Neighbours (n, 2·axes), diagonal (n,) and positions (n, 3) of the nodes of level 0, row by row.

    `strengths` are 1/h² of the axes, of which there are 2 or 3: the last ones. Pixels outside, and the
    border of the image, have no links.
    """
    first = 3 - len(strengths)
    depth, height, width = state.shape
    count = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                count += state[z, y, x] == HOLE
    neighbours = np.full((count, 2 * len(strengths)), count, np.int32)
    diagonal = np.zeros(count, np.float32)
    positions = np.empty((count, 3), np.int32)
    # The numbers of the nodes of the last row, and of the last plane.
    above = np.empty(width, np.int32)
    behind = np.empty((height if depth > 1 else 0, width), np.int32)
    i = 0
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if state[z, y, x] != HOLE:
                    continue
                positions[i, 0], positions[i, 1], positions[i, 2] = z, y, x
                for d in range(2 * len(strengths)):
                    axis, step = first + (d >> 1), 2 * (d & 1) - 1
                    v, u, t, within = beside(state, z, y, x, axis, step)
                    if within and state[v, u, t] != OUTSIDE:
                        diagonal[i] += strengths[axis - first]
                        if step < 0 and state[v, u, t] == HOLE:
                            j = behind[y, x] if axis == 0 else above[x] if axis == 1 else i - 1
                            neighbours[i, d] = j
                            neighbours[j, d + 1] = i
                above[x] = i
                if depth > 1:
                    behind[y, x] = i
                i += 1
    return neighbours, diagonal, positions


@kernel
def sources(image, state, nodes, count, strengths):
    """For each node the sum of the known pixels beside it in an image (D, H, W), weighted by their links.

    Nodes are the pixels that are HOLE in `nodes`, `count` of them.
    """
    found, first, i = np.zeros(count), 3 - len(strengths), 0
    depth, height, width = state.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if nodes[z, y, x] != HOLE:
                    continue
                for d in range(2 * len(strengths)):
                    axis, step = first + (d >> 1), 2 * (d & 1) - 1
                    v, u, t, within = beside(state, z, y, x, axis, step)
                    if within and state[v, u, t] == KNOWN:
                        found[i] += strengths[axis - first] * image[v, u, t]
                i += 1
    return found


@kernel
def widened(state):
    """The holes and the known pixels beside them, all marked as HOLE."""
    wide = state.copy()
    depth, height, width = state.shape
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                if state[z, y, x] == HOLE:
                    for v in range(max(z - 1, 0), min(z + 2, depth)):
                        if wide[v, y, x] == KNOWN:
                            wide[v, y, x] = HOLE
                    for u in range(max(y - 1, 0), min(y + 2, height)):
                        if wide[z, u, x] == KNOWN:
                            wide[z, u, x] = HOLE
                    for t in range(max(x - 1, 0), min(x + 2, width)):
                        if wide[z, y, t] == KNOWN:
                            wide[z, y, t] = HOLE
    return wide


@kernel
def reached(neighbours, known):
    """The number of nodes connected to a known pixel; `known` is not 0 for nodes beside one."""
    n, count = len(known), 0
    found = np.zeros(n + 1, np.bool_)
    found[n] = True
    stack = np.empty(n, np.int32)
    for i in range(n):
        if known[i] != 0:
            found[i] = True
            stack[count] = i
            count += 1
    total = count
    while count:
        count -= 1
        for j in neighbours[stack[count]]:
            if not found[j]:
                found[j] = True
                stack[count] = j
                count += 1
                total += 1
    return total


@kernel
def coarsen(neighbours, weights, diagonal, positions, shape):
    """The next level: which node of it each node belongs to (n,), and its own arrays."""
    # The last node in each column of coarse cells and its row; in a volume, that of each line along z and
    # its plane. Nodes come row by row and plane by plane, so that one is enough.
    flat = neighbours.shape[1] == 4
    extents = 1 if flat else (shape[1] + 1) >> 1, (shape[2] + 1) >> 1
    latest, where = np.empty(extents, np.int32), np.full(extents, NONE, np.int32)
    n, count = len(diagonal), 0
    parents = np.empty(n, np.int32)
    for i in range(n):
        z, y, x = positions[i, 0] >> 1, positions[i, 1] >> 1, positions[i, 2] >> 1
        row, now = (0, y) if flat else (y, z)
        if where[row, x] != now:
            where[row, x], latest[row, x] = now, count
            count += 1
        parents[i] = latest[row, x]
    links = neighbours.shape[1]
    coarse_neighbours = np.full((count, links), count, np.int32)
    coarse_weights = np.zeros((count, links), np.float32)
    coarse_diagonal = np.zeros(count, np.float32)
    coarse_positions = np.empty((count, 3), np.int32)
    for i in range(n):
        parent = parents[i]
        for axis in range(3):
            coarse_positions[parent, axis] = positions[i, axis] >> 1
        known = diagonal[i]  # becomes the links to known pixels
        for d in range(links):
            j = neighbours[i, d]
            if j != n:
                known -= weights[i, d]
                if parents[j] != parent:
                    coarse_neighbours[parent, d] = parents[j]
                    coarse_weights[parent, d] += SHORTER * weights[i, d]
                    coarse_diagonal[parent] += SHORTER * weights[i, d]
        coarse_diagonal[parent] += max(known, 0)
    return parents, coarse_neighbours, coarse_weights, coarse_diagonal, coarse_positions
