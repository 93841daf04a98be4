#!/usr/bin/env python3
"""Normal random images for `--data npz:FILE`: random_npz.py FILE N C H W. Only the standard library is needed."""
import array, random, struct, sys, zipfile


def write(path, n, c, h, w, seed=0):
    random.seed(seed)
    data = array.array("f", (random.gauss(0, 1) for _ in range(n * c * h * w))).tobytes()
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d, %d, %d), }" % (n, c, h, w)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inputs.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


if __name__ == "__main__":
    write(sys.argv[1], *map(int, sys.argv[2:6]))
