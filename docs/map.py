#!/usr/bin/env python3
"""Draws docs/map.svg: the rooms of the source tree, the folders in them, and who includes whom.

    docs/map.py              writes docs/map.svg
    docs/map.py --check      compares docs/map.svg with the include lines; exit code 1 if they differ
    docs/map.py --self-test  plants includes that point up and expects them to be found

Every arrow points down. An include that points up is printed, and the exit code is 1. Between rooms the order is
that of ROOMS. Between the folders of kernels/, data/ and train/ the order follows from the includes: an include
that closes a circle points up.

An arrow that follows from other arrows is not drawn. Folders with the same arrows share one box. Files that lie
directly in a room, such as kernels/variants.h, are part of the room and have no arrows in it.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SVG = ROOT / "docs/map.svg"

# From the top to the bottom: a room includes itself and the rooms below it.
ROOMS = ["tests", "bench", "train", "models", "engine", "data", "kernels"]
ROWS = [["tests", "bench"], ["train"], ["models", "data"], ["engine"], ["kernels"]]
WHAT = {
    "tests": "the op table, recorded values of PyTorch, whole runs",
    "bench": "dae bench, scripts, figures",
    "train": "the program dae: recipes, the loop, checkpoints, logs, metrics",
    "models": "one header for each model",
    "engine": "tensor, memory pool, tape, ops, modules, optimizer",
    "data": "files, images, data sets",
    "kernels": "formulas as code: raw pointers, sizes, and a tag that says where to run",
}
# A folder without a line here is drawn with its name alone.
FOLDERS = {
    "train/verbs": "one command each", "train/paper": "what dae reproduce runs", "train/run": "the loop, checkpoints",
    "train/machine": "plan, doctor, ceilings", "train/evaluation": "the metrics",
    "train/learners": "what a step computes",
    "train/io": "run folder, logs, weights", "train/feed": "batches and noise", "train/report": "pages and charts",
    "train/recipe": "the table of keys", "train/recipes": "the shipped recipes",
    "data/sets": "data sets, loader", "data/images": "decode, resize, augment",
    "data/files": "tensor files, zip, pickle",
    "engine/ops": "shape check, kernel, backward",
    "kernels/emulate": "the emulated device", "kernels/cpu": "threads, ordered sums",
    "kernels/cuda": "maps, ordered sums", "kernels/device": "tags, types, instructions",
}
ARROWS_INSIDE = {"train", "data", "kernels"}
# The emulated build replaces the instructions of kernels/device by kernels/emulate; the other build does not read it.
NOT_AN_ARROW = {("kernels/device/kernel.cuh", "kernels/emulate/emulate.h")}


# ---- the graph ----

def includes(root):
    """Returns (file, line number, included file) of every include of a file of the tree, sorted."""
    found = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix not in (".h", ".cuh", ".cpp", ".cu"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'\s*#\s*include "([^"]+)"', line)
                if match and match[1].split("/")[0] in ROOMS and (name, match[1]) not in NOT_AN_ARROW:
                    found.append((name, number, match[1]))
    return found


def folder(path):
    """Returns "room/folder" of a file, or None for a file that lies directly in its room."""
    parts = path.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else None


def reaches(edges, start, goal):
    stack, seen = [start], set()
    while stack:
        at = stack.pop()
        if at == goal:
            return True
        if at not in seen:
            seen.add(at)
            stack += [b for a, b in edges if a == at]
    return False


def reduced(edges):
    """Returns the edges without those that follow from the others."""
    return {e for e in edges if not reaches(edges - {e}, *e)}


def graph(found):
    """Returns the edges between rooms, the edges between folders, and the includes that point up."""
    rooms, folders, up = set(), {}, []
    for include in found:
        name, _, target = include
        a, b = name.split("/")[0], target.split("/")[0]
        if a != b:
            if ROOMS.index(a) > ROOMS.index(b):
                up.append(include)
            else:
                rooms.add((a, b))
        elif a in ARROWS_INSIDE and folder(name) and folder(target) and folder(name) != folder(target):
            folders.setdefault((folder(name), folder(target)), []).append(include)
    # The pairs of folders with the most includes come first, so that the fewest includes point up.
    kept = set()
    for (a, b), lines in sorted(folders.items(), key=lambda item: (-len(item[1]), item[0])):
        if reaches(kept, b, a):
            up += lines
        else:
            kept.add((a, b))
    return rooms, kept, up


# ---- the drawing ----

FONT, SMALL, TITLE = 15, 13, 20
CHAR = 0.61  # the width of a letter of a monospace font, in units of its size
LINE, PAD, GAP = 19, 11, 34
COLOURS = {"tests": "#eef2f7", "bench": "#eef2f7", "train": "#e8f1fb", "models": "#eaf6ec", "engine": "#fdf3e1",
           "data": "#f3ecf8", "kernels": "#fbeaea"}
INK, ARROW, EDGE = "#1f2933", "#52606d", "#9aa5b1"


def width_of(text, size=FONT):
    return len(text) * size * CHAR


class Box:
    """A box with the names of one or more folders, or a bend of an arrow that passes a layer (no names)."""

    def __init__(self, folders):
        self.names, self.x, self.y = [f.split("/")[1] for f in folders], 0, 0
        columns = 1 if len(folders) < 4 else 4
        self.lines = [("  ".join(self.names[i:i + columns]), FONT) for i in range(0, len(folders), columns)]
        if len(folders) == 1 and folders[0] in FOLDERS:
            self.lines.append((FOLDERS[folders[0]], SMALL))
        self.w = max(width_of(*line) for line in self.lines) + 2 * PAD if folders else 12
        self.h = len(self.lines) * LINE + 2 * PAD - 4 if folders else 0


def grouped(names, edges):
    """Returns boxes, and edges between boxes. Folders with the same arrows share a box."""
    groups = {}
    for name in names:
        key = (frozenset(b for a, b in edges if a == name), frozenset(a for a, b in edges if b == name))
        groups.setdefault(key if edges else name, []).append(name)
    boxes = [Box(group) for group in groups.values()]
    of = {name: box for group, box in zip(groups.values(), boxes) for name in group}
    return boxes, sorted({(boxes.index(of[a]), boxes.index(of[b])) for a, b in edges})


class Diagram:
    """The folders of a room in layers. An arrow that passes a layer bends there, beside the boxes."""

    def __init__(self, names, edges, gap=GAP):
        self.gap = gap
        boxes, pairs = grouped(names, edges)
        depth = {}

        def depth_of(i):  # the layer, counted from the bottom
            if i not in depth:
                depth[i] = 1 + max([depth_of(b) for a, b in pairs if a == i], default=-1)
            return depth[i]

        top = max(depth_of(i) for i in range(len(boxes)))
        self.layers = [[] for _ in range(top + 1)]
        for i, box in enumerate(boxes):
            self.layers[top - depth[i]].append(box)
        self.paths, links = [], []
        for a, b in pairs:
            path = [boxes[a]]
            for layer in range(top - depth[a] + 1, top - depth[b]):
                bend = Box([])
                self.layers[layer].append(bend)
                path.append(bend)
            path.append(boxes[b])
            self.paths.append(path)
            links += zip(path, path[1:])
        self.links = links
        self.order()
        self.place()

    def crossings(self):
        place = {box: i for layer in self.layers for i, box in enumerate(layer)}
        layer_of = {box: n for n, layer in enumerate(self.layers) for box in layer}
        count = 0
        for n in range(len(self.layers)):
            ends = [(place[a], place[b]) for a, b in self.links if layer_of[a] == n]
            count += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(ends) for c, d in ends[:i])
        return count

    def order(self):
        """Sorts each layer by the mean place of its neighbours, and keeps the order with the fewest crossings."""
        best, least = [list(layer) for layer in self.layers], self.crossings()
        for sweep in range(24):
            place = {box: i / max(1, len(layer) - 1) for layer in self.layers for i, box in enumerate(layer)}
            for layer in self.layers if sweep % 2 else self.layers[::-1]:
                def middle(box):
                    near = [place[b] for a, b in self.links if a is box] if sweep % 2 == 0 else \
                           [place[a] for a, b in self.links if b is box]
                    return sum(near) / len(near) if near else place[box]
                layer.sort(key=middle)
                for i, box in enumerate(layer):
                    place[box] = i / max(1, len(layer) - 1)
            if self.crossings() < least:
                best, least = [list(layer) for layer in self.layers], self.crossings()
        self.layers = best

    def place(self):
        """Gives each box its x and y, relative to the diagram's corner: near its neighbours, without overlap."""
        for layer in self.layers:
            x = 0
            for box in layer:
                box.x, x = x, x + box.w + self.gap
        for sweep in range(60):
            for layer in self.layers if sweep % 2 else self.layers[::-1]:
                wish = []
                for box in layer:
                    near = [a.x + a.w / 2 for a, b in self.links if b is box] + \
                           [b.x + b.w / 2 for a, b in self.links if a is box]
                    wish.append(sum(near) / len(near) - box.w / 2 if near else box.x)
                # Boxes that would overlap move as one block around their mean wish.
                blocks = []
                for box, w in zip(layer, wish):
                    blocks.append([[box], [w], 0.0])
                    while True:
                        last = blocks[-1]
                        last[2] = sum(last[1]) / len(last[1])
                        if len(blocks) < 2:
                            break
                        before = blocks[-2]
                        if before[2] + sum(b.w + self.gap for b in before[0]) <= last[2]:
                            break
                        shift = sum(b.w + self.gap for b in before[0])
                        blocks[-2:] = [[before[0] + last[0], before[1] + [w - shift for w in last[1]], 0.0]]
                for members, _, x in blocks:
                    for box in members:
                        box.x, x = x, x + box.w + self.gap
        left = min(box.x for layer in self.layers for box in layer)
        y = 0
        for layer in self.layers:
            height = max(box.h for box in layer)
            for box in layer:
                box.x -= left
                box.y = y + (height - box.h) / 2
            y += height + 44
        self.w = max(box.x + box.w for layer in self.layers for box in layer)
        self.h = y - 44

    def port(self, box, other, below):
        """Returns the x where the arrow between the two boxes meets `box`: arrows share its width evenly."""
        others = [b for a, b in self.links if a is box] if below else [a for a, b in self.links if b is box]
        others.sort(key=lambda o: o.x + o.w / 2)
        return box.x + box.w * (others.index(other) + 1) / (len(others) + 1)


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def label(x, y, text, size=FONT, weight="normal", anchor="start"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


def arrow(points, width=1.5, marker="small"):
    """Returns a line through points (x, y) from top to bottom, smooth at the bends."""
    x, y = points[0]
    path = f"M{x:.0f} {y:.0f}"
    for u, v in points[1:]:
        middle = (y + v) / 2
        path += f" C{x:.0f} {middle:.0f} {u:.0f} {middle:.0f} {u:.0f} {v:.0f}"
        x, y = u, v
    return f'<path d="{path}" fill="none" stroke="{ARROW}" stroke-width="{width}" marker-end="url(#{marker})"/>'


def draw(root):
    """Returns the SVG, and the includes that point up as lines."""
    rooms, folders, up = graph(includes(root))
    rooms = reduced(rooms)
    margin, between, room_gap = 24, 30, 56
    head = 2 * LINE + 22
    inner, sizes = {}, {}
    for room in ROOMS:
        names = sorted({folder(p.relative_to(root).as_posix()) for p in (root / room).rglob("*")
                        if p.suffix in (".h", ".cuh", ".cpp", ".cu", ".toml")} - {None})
        inside = reduced({(a, b) for a, b in folders if a.startswith(room + "/")})
        inner[room] = None
        w, h = max(width_of(WHAT[room], SMALL), width_of(room, TITLE)) + 40, head
        if names and room in ARROWS_INSIDE:
            inner[room] = Diagram(names, inside)
            w, h = max(w, inner[room].w + 60), head + inner[room].h + 22
        elif names:
            inner[room] = Diagram(names, set(), 12)
            w, h = max(w, inner[room].w + 40), head + inner[room].h + 16
        sizes[room] = [w, h]
    full = max(sum(sizes[r][0] for r in row) + between * (len(row) - 1) for row in ROWS)
    # Rows: the rooms of a row share the width.
    at, y = {}, margin
    columns = {"models": "left", "engine": "left", "data": "right"}
    left = max(sizes["models"][0], sizes["engine"][0])
    right = sizes["data"][0]
    full = max(full, left + between + right)
    for row in (["tests", "bench"], ["train"]):
        height = max(sizes[r][1] for r in row)
        spare = (full - sum(sizes[r][0] for r in row) - between * (len(row) - 1)) / len(row)
        x = margin
        for room in row:
            at[room] = (x, y, sizes[room][0] + spare, height)
            x += sizes[room][0] + spare + between
        y += height + room_gap
    stretch = (full - left - between - right) / 2
    at["models"] = (margin, y, left + stretch, sizes["models"][1])
    at["engine"] = (margin, y + sizes["models"][1] + room_gap, left + stretch, sizes["engine"][1])
    data_height = max(sizes["data"][1], sizes["models"][1] + room_gap + sizes["engine"][1])
    at["engine"] = (*at["engine"][:3], data_height - sizes["models"][1] - room_gap)
    at["data"] = (margin + left + stretch + between, y, right + stretch, data_height)
    y += data_height + room_gap
    at["kernels"] = (margin, y, full, sizes["kernels"][1])
    y += sizes["kernels"][1]
    notes = ["An arrow points to what is included. Arrows that follow from others are not drawn; folders with the same",
             "arrows share a box. Drawn by docs/map.py from the #include lines."]
    width, height = full + 2 * margin, y + 30 + LINE * len(notes) + 8
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
           f'viewBox="0 0 {width:.0f} {height:.0f}" fill="{INK}" '
           'font-family="\'DejaVu Sans Mono\', Menlo, Consolas, monospace">',
           "<title>The rooms of the source tree and who includes whom</title>",
           f'<defs><marker id="small" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto" '
           f'markerUnits="userSpaceOnUse"><path d="M0 0L9 4L0 8z" fill="{ARROW}"/></marker>'
           f'<marker id="large" markerWidth="16" markerHeight="14" refX="14" refY="7" orient="auto" '
           f'markerUnits="userSpaceOnUse"><path d="M0 0L16 7L0 14z" fill="{ARROW}"/></marker></defs>',
           f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>']
    for room in ROOMS:
        x, top, w, h = at[room]
        out.append(f'<rect x="{x:.0f}" y="{top:.0f}" width="{w:.0f}" height="{h:.0f}" rx="10" '
                   f'fill="{COLOURS[room]}" stroke="{EDGE}"/>')
        out.append(label(x + 18, top + 28, room + "/", TITLE, "bold"))
        out.append(label(x + 18, top + 28 + LINE, WHAT[room], SMALL))
        diagram = inner[room]
        if not diagram:
            continue
        dx, dy = x + (w - diagram.w) / 2, top + head
        if room == "data":
            dy += (h - head - diagram.h) / 2 - 8
        for path in diagram.paths:
            points = [(diagram.port(path[0], path[1], True) + dx, path[0].y + path[0].h + dy)]
            for box in path[1:-1]:
                points.append((box.x + box.w / 2 + dx, box.y + dy))
            points.append((diagram.port(path[-1], path[-2], False) + dx, path[-1].y + dy - 2))
            out.append(arrow(points))
        for layer in diagram.layers:
            for box in layer:
                if not box.names:
                    continue
                out.append(f'<rect x="{box.x + dx:.0f}" y="{box.y + dy:.0f}" width="{box.w:.0f}" '
                           f'height="{box.h:.0f}" rx="5" fill="#ffffff" stroke="{EDGE}"/>')
                for i, (line, size) in enumerate(box.lines):
                    out.append(label(box.x + dx + box.w / 2, box.y + dy + PAD + 11 + i * LINE, line, size,
                                     anchor="middle"))
    for a, b in sorted(rooms, key=lambda e: (ROOMS.index(e[0]), ROOMS.index(e[1]))):
        ax, ay, aw, ah = at[a]
        bx, by, bw, bh = at[b]
        # A straight arrow in the middle of what the two rooms share in width.
        low, high = max(ax, bx), min(ax + aw, bx + bw)
        x = (low + high) / 2
        out.append(arrow([(x, ay + ah), (x, by - 2)], 3, "large"))
    for i, note in enumerate(notes):
        out.append(label(margin, y + 34 + i * LINE, note, SMALL))
    out.append("</svg>")
    return "\n".join(out) + "\n", [f"{name}:{line}: includes {target}, which points up" for name, line, target in up]


def self_test():
    found = includes(ROOT)
    assert not graph(found)[2], "an include points up"
    for planted in [("kernels/norm/planted.h", 1, "engine/tensor.h"), ("engine/planted.h", 1, "models/dcgan.h"),
                    ("train/recipe/planted.h", 1, "train/run/loop.h"),
                    ("data/files/planted.h", 1, "data/sets/loader.h"),
                    ("kernels/cpu/planted.h", 1, "kernels/norm/norm.h")]:
        assert planted in graph(found + [planted])[2], f"the planted {planted} was not found"
    print("map: every planted include was found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    svg, up = draw(ROOT)
    for line in up:
        print(line)
    if up:
        sys.exit(1)
    if sys.argv[1:] == ["--check"]:
        if not SVG.exists() or SVG.read_text() != svg:
            print("docs/map.svg differs from the include lines; run docs/map.py")
            sys.exit(1)
    else:
        SVG.write_text(svg)


main()
