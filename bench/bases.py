"""Base images of the benchmark: made here, from Debian packages or from generated files; no registry is asked.

make() gives an Image: a docker-archive file (docker, buildah, slipway) and an OCI layout of the same layer (buildkitd).
"""
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

MTIME = 1_700_000_000
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Image:
    archive: pathlib.Path
    layout: pathlib.Path
    digest: str  # of the manifest in `layout`


def member(name, kind=tarfile.REGTYPE, mode=0o644, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname, info.mtime = kind, mode, size, link, MTIME
    return info


def put(tar, name, data=b"", **keys):
    tar.addfile(member(name, size=len(data), **keys), io.BytesIO(data))


def write_busybox(tar):
    busybox = next(p for p in ("/usr/bin/busybox", "/bin/busybox") if os.path.exists(p))
    for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("dev", 0o755),
                         ("proc", 0o755), ("sys", 0o755), ("run", 0o755), ("var", 0o755)):
        tar.addfile(member(folder, tarfile.DIRTYPE, mode))
    put(tar, "bin/busybox", pathlib.Path(busybox).read_bytes(), mode=0o755)
    applets = subprocess.run([busybox, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    for applet in sorted(set(applets) - {"busybox"}):
        tar.addfile(member(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox"))
    put(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    put(tar, "etc/group", b"root:x:0:\n")


def busybox_layer(target, files=0):
    with tarfile.open(target, "w") as tar:
        write_busybox(tar)
        if not files:
            return
        tar.addfile(member("data", tarfile.DIRTYPE, 0o755))
        for number in range(files):
            folder = f"data/{number // 500:04}"
            if number % 500 == 0:
                tar.addfile(member(folder, tarfile.DIRTYPE, 0o755))
            put(tar, f"{folder}/{number % 500:03}", b"%d\n" % number)


def node_layer(target):
    """Debian with nodejs: some 270 MB."""
    if not shutil.which("mmdebstrap"):
        raise SystemExit("mmdebstrap is missing: packaging/install bench")
    subprocess.run(["mmdebstrap", "-q", "--variant=minbase", "--include=nodejs,ca-certificates,curl", "bookworm",
                    str(target)], check=True)


LAYERS = {
    "bench-busybox": lambda target: busybox_layer(target),
    "bench-2k": lambda target: busybox_layer(target, 2_000),
    "bench-200k": lambda target: busybox_layer(target, 200_000),
    "bench-node": node_layer,
}


def sha256_file(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def write_layout(folder, name, layer):
    """An OCI layout whose only layer is the file `layer` (moved in)."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    diff = sha256_file(layer)
    size = layer.stat().st_size
    layer.rename(blobs / diff)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return digest, len(data)

    config, config_size = blob(compact({
        "architecture": "amd64", "os": "linux", "created": "2023-11-14T00:00:00Z",
        "config": {"Env": [PATH], "Cmd": ["sh"], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + diff]},
        "history": [{"created": "2023-11-14T00:00:00Z", "created_by": "bench base"}]}))
    kind = "application/vnd.oci.image."
    manifest, manifest_size = blob(compact({
        "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
        "config": {"mediaType": kind + "config.v1+json", "digest": "sha256:" + config, "size": config_size},
        "layers": [{"mediaType": kind + "layer.v1.tar", "digest": "sha256:" + diff, "size": size}]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_bytes(compact({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", "digest": "sha256:" + manifest, "size": manifest_size,
         "annotations": {"org.opencontainers.image.ref.name": "latest"}}]}))
    return manifest, config, diff


def write_archive(target, name, layout, config, diff):
    blobs = layout / "blobs/sha256"
    with tarfile.open(target, "w") as tar:
        info = member(f"{diff}/layer.tar", size=(blobs / diff).stat().st_size)
        with open(blobs / diff, "rb") as file:
            tar.addfile(info, file)
        put(tar, f"{config}.json", (blobs / config).read_bytes())
        put(tar, "manifest.json", compact([{"Config": f"{config}.json", "RepoTags": [f"{name}:latest"],
                                            "Layers": [f"{diff}/layer.tar"]}]))


def make(work, name, log):
    folder = work / "bases" / name
    if not (folder / "digest").exists():
        log(f"making {name}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        layer = folder / "layer.tar"
        LAYERS[name](layer)
        manifest, config, diff = write_layout(folder / "layout", name, layer)
        write_archive(folder / "image.tar", name, folder / "layout", config, diff)
        (folder / "digest").write_text("sha256:" + manifest)
    return Image(folder / "image.tar", folder / "layout", (folder / "digest").read_text())
