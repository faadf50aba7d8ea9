"""SHA-1 for boards whose hashlib has none; loaded by _wscore.py to connect only."""


def sha1(data):
    """The digest (20 bytes) of data (bytes). Source: RFC 3174."""
    n = len(data)
    data += b"\x80" + bytes((55 - n) % 64) + (8 * n).to_bytes(8, "big")
    h = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    for at in range(0, len(data), 64):
        w = [int.from_bytes(data[i : i + 4], "big") for i in range(at, at + 64, 4)]
        a, b, c, d, e = h
        for i in range(80):
            if i < 20:
                f = ((c ^ d) & b ^ d) + 0x5A827999
            elif 40 <= i < 60:
                f = ((b | c) & d | b & c) + 0x8F1BBCDC
            else:
                f = (b ^ c ^ d) + (0x6ED9EBA1 if i < 40 else 0xCA62C1D6)
            t = w.pop(0)
            w.append(_rotated(w[12] ^ w[7] ^ w[1] ^ t, 1))
            a, b, c, d, e = (_rotated(a, 5) + f + e + t) & 0xFFFFFFFF, a, _rotated(b, 30), c, d
        h = [(h[i] + x) & 0xFFFFFFFF for i, x in enumerate((a, b, c, d, e))]
    return b"".join(x.to_bytes(4, "big") for x in h)


def _rotated(x, n):
    return (x << n | x >> (32 - n)) & 0xFFFFFFFF
