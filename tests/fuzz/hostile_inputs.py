"""Hostile Dockerfiles, ignore files, archives and contexts, made from a seed: the same numbers make the same bytes.

A case is a function of a random number generator and a folder; it makes a context in the folder and gives the words
behind `slipway build`, and what goes to standard input. mutate.py runs them.
"""
import bz2
import contextlib
import gzip
import io
import lzma
import os
import pathlib
import socket
import subprocess
import tarfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent

# What a step runs ends at once whatever is done to these lines: a case measures the builder, not the step.
DOCKERFILES = [
    b"FROM scratch\nCOPY . /all/\n",
    b"FROM scratch AS one\nCOPY a b d /x/\nFROM scratch\nCOPY --from=one --chown=1:2 --chmod=u+rwX,go=rX /x/ /y/\nCMD [\"/x\", \"y\"]\n",
    b"FROM base\nRUN --mount=type=cache,target=/c,id=k --mount=type=tmpfs,target=/t true\nWORKDIR /w/../v\nUSER app:app\nRUN true\n",
    b"# syntax=docker/dockerfile:1\n# escape=`\nFROM scratch\nCOPY a `\n  # note\n  b /z/\nENV A=1 B=\"two words\" C='$A'\n",
    b"ARG V=1 W=${V:-x}\nFROM base AS b${V}\nARG V\nENV P=${V:+$W} Q=${V#1} R=${V/1/2} S=${X:-${Y:-z}}\nRUN echo $V >/v\nLABEL a=b \"c d\"=\"e\\\nf\"\n",
    b"FROM scratch\nCOPY <<EOF <<-'TWO' /h/\n$HOME \\$x\nEOF\n\t\ttabs\n\tTWO\nCOPY --parents d/./**/*.txt /p/\nADD --exclude=*.o --exclude=!a . /e\n",
    b"FROM base\nRUN <<EOF\ntrue\nEOF\nHEALTHCHECK --interval=1m30s --retries=3 CMD [\"true\"]\nEXPOSE 80 90-99/udp ${PORT:-1}/tcp\nVOLUME [\"/a\", \"/b c\"]\nSTOPSIGNAL SIGRTMIN+3\nSHELL [\"/bin/sh\", \"-c\"]\nONBUILD COPY a /b\n",
    b"FROM scratch\nCOPY --link a /l/\nCOPY --link --chown=3:4 d/ /l/d/\nADD t.tar.gz /t/\nADD --unpack=false t.tar.gz /u/\nENTRYPOINT /x $Y\nMAINTAINER me\n",
    b"FROM base\nRUN --mount=type=secret,id=s,required=false --mount=type=bind,source=d,target=/m,rw true\nRUN --mount=from=base,source=/etc,target=/e true\n",
    b"FROM --platform=$BUILDPLATFORM scratch\n# check=skip=all\nCOPY [\"a\", \"b\", \"/j s/\"]\nADD http://127.0.0.1:9/x.tar /n\nADD https://127.0.0.1:9/r.git#main:sub /g\n",
]
IGNORES = [
    b"*\n!a\n!d/**/*.txt\n", b"# note\n\n./d/\n/b\n[a-z]*\n", b"**/*.o\n!**/keep.o\nd/**/e\n", b"\xef\xbb\xbfa\r\n!b\r\n*/\\?\n",
    b"d\n!d/e/f.txt\n", b".\n..\n/\n!\n", b"**\n!**/f.txt\n", b"a*b*c*d*e*f*g*h*\n" * 3,
]
# Pieces that a parser has an opinion about.
WORDS = [b"\\\n", b"`", b"\"", b"'", b"$", b"${", b"}", b"${A:-", b"<<EOF\n", b"<<-'", b"--from=", b"--mount=", b"--chmod=", b"--chown=", b",",
         b"=", b"[", b"]", b"[\"", b"\0", b"\r\n", b"\xff\xfe", b"\xc3", b"\x1b[2J", b"\x7f", b"..", b"/../", b"/", b"//", b"*", b"**", b"?", b"!",
         b"#", b"# escape=`\n", b"# check=error=true\n", b"FROM scratch\n", b"FROM base AS x\n", b"ONBUILD ", b"COPY ", b"ADD ", b"ARG ", b"RUN true\n",
         b"99999999999999999999", b"-1", b"0x7f", b"8g", b"1e400", b" " * 300, b"a" * 5000, b"\t", b"\xe2\x80\xae", b"type=ssh", b"type=", b"target=/",
         b"id=../../x", b"size=9223372036854775807", b"git@h:x#y:z", b"http://[::1", b"file:///etc/passwd", b"context", b"scratch", b"%s%n"]


def mutated(random, data, words=WORDS, changes=(1, 4)):
    """`data` with some changes, each of a kind that finds something in parsers."""
    data = bytearray(data)
    for _ in range(random.randint(*changes)):
        at = random.randint(0, len(data))
        end = min(len(data), at + random.choice((1, 2, 4, 16, 64)))
        kind = random.randrange(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            del data[at:end]
        elif kind == 2:
            data[at:at] = random.choice(words)
        elif kind == 3:
            data[at:at] = data[at:end] * random.choice((1, 2, 50))
        elif kind == 4:
            data[at:end] = random.randbytes(end - at)
        elif kind == 5:
            other = random.randint(0, len(data))
            data[at:at] = data[other:other + random.choice((4, 40, 400))]
        elif random.randrange(4) == 0:
            del data[at:]
    return bytes(data)


def fill(folder):
    """The files that the Dockerfiles name."""
    for name, text in (("a", "a\n"), ("b", "b\n"), ("d/e/f.txt", "f\n"), ("d/keep.o", "o\n"), ("d/x.o", "x\n")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "t.tar.gz").write_bytes(gzip.compress(tar_of([("m", tarfile.REGTYPE, b"m\n", "")]), mtime=0))


# ---------------------------------------------------------------- Dockerfiles and ignore files
def dockerfile_case(random, folder):
    fill(folder)
    seeds = DOCKERFILES + ([p.read_bytes() for p in sorted((HERE / "corpus/dockerfile").iterdir())
                            if b"RUN" not in p.read_bytes()] if random.randrange(3) == 0 else [])
    text = mutated(random, random.choice(seeds), changes=(1, 1) if random.randrange(2) else (1, 4))
    if random.randrange(8) == 0:  # grown until a limit or the parser says stop
        text += random.choice((b"COPY a /%d\n" % random.randrange(99), b"ENV A=$A$A\n", b"ARG X=${X:-x$X}\n", b"LABEL a=b\n",
                               b"FROM scratch\n", b"# note\n", b"\\\n", b"EXPOSE 1-65535\n")) * random.choice((40, 400))
    (folder / "Dockerfile").write_bytes(text)
    if random.randrange(6) == 0:  # from standard input, without a context
        return ["-"], text
    options = random.choice(([], ["--check"], ["--call", "outline,format=json"], ["--call", "targets"], ["--target", "1"],
                             ["--build-arg", "V=\x1b[1m$(x)"]))
    return [*options, str(folder)], None


def ignore_case(random, folder):
    fill(folder)
    (folder / "Dockerfile").write_text(random.choice(("FROM scratch\nCOPY . /\n", "FROM scratch\nCOPY d/ /\n",
                                                      "FROM scratch\nCOPY a d/*/f.txt /\n")))
    text = mutated(random, random.choice(IGNORES))
    if random.randrange(8) == 0:
        text = text * random.choice((100, 3000))
    name = random.choice((".dockerignore", "Dockerfile.dockerignore"))
    (folder / name).write_bytes(text)
    return [str(folder)], None


# ---------------------------------------------------------------- archives
def tar_of(members, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, errors="surrogateescape") as tar:
        for name, kind, data, link, *more in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            info.pax_headers = more[0] if more else {}
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def octal(number, size):
    return b"%0*o\0" % (size - 1, number)


def sparse_header(size):
    """An old GNU sparse file that says it is `size` long, has no data, and takes one block."""
    head = bytearray(512)
    head[0:6], head[100:108], head[124:136], head[156:157] = b"sparse", octal(0o644, 8), octal(0, 12), b"S"
    head[108:116], head[116:124], head[136:148], head[257:265] = octal(0, 8), octal(0, 8), octal(0, 12), b"ustar  \0"
    head[483:495] = b"\x80" + size.to_bytes(11, "big")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


R, D, S, L = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def archives():
    dockerfile = ("Dockerfile", R, b"FROM scratch\nCOPY . /c/\n", "")
    yield tar_of([dockerfile, ("a", R, b"a\n", ""), ("d", D, b"", ""), ("d/b", R, b"b\n" * 99, ""), ("l", S, b"", "d/b")])
    yield tar_of([dockerfile, ("../../up", R, b"x", ""), ("/abs", R, b"x", ""), ("d/../../e", R, b"x", ""), ("./././f", R, b"x", "")])
    yield tar_of([dockerfile, ("l", S, b"", "/etc"), ("l/passwd", R, b"x", ""), ("h", L, b"", "l/passwd"), ("h2", L, b"", "../../etc/passwd")])
    yield tar_of([dockerfile, ("one", S, b"", "two"), ("two", S, b"", "../.."), ("one/x", D, b"", ""), ("one/x/y", R, b"x", "")])
    yield tar_of([dockerfile, (".", S, b"", "/tmp"), ("x", R, b"x", ""), ("..", D, b"", ""), ("", R, b"x", "")])
    yield tar_of([dockerfile, ("loop", S, b"", "loop"), ("loop/x", R, b"x", ""), ("self", L, b"", "self")])
    yield tar_of([dockerfile, ("p", tarfile.FIFOTYPE, b"", ""), ("c", tarfile.CHRTYPE, b"", ""), ("b", tarfile.BLKTYPE, b"", "")])
    yield tar_of([dockerfile, (".wh.a", R, b"", ""), ("d/.wh..wh..opq", R, b"", ""), ("d/.wh..wh.plnk", R, b"", "")])
    yield tar_of([dockerfile, ("x", R, b"x", "", {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.k": "v" * 900})])
    yield tar_of([dockerfile, ("x", R, b"x", "", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "99999999999999"})])
    yield tar_of([dockerfile, ("/".join(["d"] * 400), D, b"", ""), ("n" * 255, R, b"x", ""), ("m" * 256, R, b"x", "")])
    yield tar_of([dockerfile, ("new\nline\x1b[2J", R, b"x", ""), ("\udcff\udcfe", R, b"x", ""), ("sp ace", R, b"x", "")])
    yield tar_of([dockerfile, ("x", R, b"x", "", {"mtime": "99999999999999999999", "size": "18446744073709551615", "uid": "-1"})])
    yield tar_of([dockerfile, ("z", R, bytes(1 << 20), "")], tarfile.GNU_FORMAT)
    yield sparse_header(1 << 62) + tar_of([dockerfile])
    yield sparse_header(1 << 40) + tar_of([dockerfile])


def zstd(data):
    """One zstd frame of raw blocks: what a decoder must read, without a compressor."""
    out = b"\x28\xb5\x2f\xfd\x00\x58"
    pieces = [data[i:i + 100_000] for i in range(0, len(data), 100_000)] or [b""]
    for number, piece in enumerate(pieces):
        out += (len(piece) << 3 | (number == len(pieces) - 1)).to_bytes(3, "little") + piece
    return out


def packed(random, data):
    how = random.randrange(7)
    if how == 0:
        return bz2.compress(data)
    if how == 1:
        return lzma.compress(data)
    if how == 2:
        return zstd(data)
    if how == 3:
        half = len(data) // 2  # two members
        return gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)
    if how == 4:
        return gzip.compress(data, mtime=0)
    return data


def archive_case(random, folder):
    data = random.choice(ARCHIVES)
    if random.randrange(2):
        data = mutated(random, data, [b"\0" * 512, b"\xff" * 12, b"7" * 11, b"../", b"ustar\0" b"00", b"x" * 300])
    data = packed(random, data)
    if random.randrange(2):
        data = mutated(random, data, [b"\0" * 8, b"\xff" * 8, data[:20]])
    if random.randrange(12) == 0:  # 64 MiB out of 64 KiB, of which no member says so
        data = gzip.compress(tar_of([("zero", R, bytes(64 << 20), "")]), 9, mtime=0)
    if random.randrange(2):
        return ["-"], data
    (folder / "Dockerfile").write_text("FROM scratch\nADD x.tar /x/\n")
    (folder / "x.tar").write_bytes(data)
    return [str(folder)], None


ARCHIVES = list(archives())


# ---------------------------------------------------------------- contexts
NAMES = [b"-rf", b"--from=x", b" ", b"a b", b"new\nline", b"\x1b[2Jclear", b"\xff\xfe", b"n" * 255, b"[a]", b"*", b"?", b"\\", b"a\\b", b"$HOME", b".wh.x",
         b".wh..wh..opq", b"...", b"\xe2\x80\xaertl", b"Dockerfile", b".dockerignore", b"%s", b"'", b'"', b"#x", b"!x", b"~"]


def deep(folder, levels):
    """A tree deeper than a path may be long: made a step at a time."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("deep-directory-name", dir_fd=at)
        below = os.open("deep-directory-name", os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=at))
    os.close(at)


def odd_entry(random, folder):
    name = os.path.join(os.fsencode(folder), random.choice(NAMES))
    kind = random.randrange(9)
    if os.path.lexists(name):
        return  # writing to a fifo would wait
    if kind == 0:
        os.symlink(random.choice((b"/etc/passwd", b"../../../../etc", b".", b"..", name[-255:], b"nowhere", b"a", b"d/e", b"/")), name)
    elif kind == 1:
        os.mkfifo(name, 0o600)
    elif kind == 2:
        with socket.socket(socket.AF_UNIX) as listening, contextlib.suppress(OSError):  # a name too long for one
            listening.bind(name)
    elif kind == 3:
        with open(name, "wb") as file:
            file.truncate(random.choice((1 << 26, 1 << 43, 3 << 20)))
    elif kind == 4:
        os.mkdir(name, random.choice((0o755, 0o7777, 0)))
    elif kind == 5:
        os.link(os.path.join(os.fsencode(folder), b"a"), name)
    elif kind == 6:
        with open(name, "wb") as file:
            file.write(random.randbytes(100))
        os.chmod(name, random.choice((0, 0o4755, 0o7777)))
        os.utime(name, ns=(random.choice((0, -10**18, 10**19 // 4)),) * 2)
    elif kind == 7:
        with open(name, "wb") as file:
            file.write(b"x")
        with contextlib.suppress(OSError):
            os.setxattr(name, random.choice(("user.k", "trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.metacopy")), b"y")
    else:
        with contextlib.suppress(PermissionError):  # not root
            os.mknod(name, 0o600 | 0o020000, os.makedev(*random.choice(((0, 0), (1, 3), (1, 5), (5, 0)))))


def context_case(random, folder):
    fill(folder)
    dockerfile = random.choice((b"FROM scratch\nCOPY . /c/\n", b"FROM scratch\nADD . /c/\n", b"FROM scratch\nCOPY * /c/\n",
                                b"FROM scratch\nCOPY --parents --exclude=*.o ./*/ /c/\n", b"FROM scratch\nCOPY --link --chmod=a+rX . /c\n",
                                b"FROM base\nCOPY . /\nRUN true\n", b"FROM base\nRUN --mount=target=/m true\n"))
    (folder / "Dockerfile").write_bytes(dockerfile)
    for _ in range(random.randint(1, 6)):
        odd_entry(random, folder)
    if random.randrange(10) == 0:
        deep(folder, random.choice((50, 260, 1200)))
    if random.randrange(4) == 0:
        (folder / "Dockerfile.dockerignore").write_bytes(mutated(random, random.choice(IGNORES)))
    return [str(folder)], None


CASES = {"dockerfile": (dockerfile_case, 200), "ignore": (ignore_case, 90), "archive": (archive_case, 120), "context": (context_case, 90)}
