"""Tools that people have: rclone, s3cmd and restic from Debian, set up by nothing but an address and a key."""

import os
import pathlib
import subprocess

import pytest

import house as h

MIB = 1024 * 1024


@pytest.fixture
def tree(tmp_path, chance):
    """Files of every kind of name and length."""
    root = tmp_path / "tree"
    for name, size in {
        "plain.txt": 12, "empty": 0, "a b+c&d.txt": 100, "发票/十一月/1.pdf": 70_000, "deep/er/est/file": 1,
        "large.bin": 17 * MIB + 3, "ünïcode é.bin": 16_385,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(size))
    return root


def same(a, b):
    files = lambda root: {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert files(pathlib.Path(a)) == files(pathlib.Path(b))


def run(*command, env=None, code=0, cwd=None):
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **(env or {})}, capture_output=True, text=True, timeout=240, cwd=cwd
    )
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def test_rclone_syncs_checks_moves_and_mends(shared, tree, tmp_path):
    key_id, secret = shared.key("acme")
    env = {
        "HOME": str(tmp_path), "RCLONE_CONFIG": "/dev/null", "RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other",
        "RCLONE_CONFIG_B_ENDPOINT": shared.objects, "RCLONE_CONFIG_B_ACCESS_KEY_ID": key_id,
        "RCLONE_CONFIG_B_SECRET_ACCESS_KEY": secret, "RCLONE_CONFIG_B_REGION": h.REGION,
        "RCLONE_S3_UPLOAD_CUTOFF": "5M", "RCLONE_S3_CHUNK_SIZE": "5M",
    }
    rclone = lambda *args, code=0: run("rclone", *args, env=env, code=code)
    rclone("mkdir", "b:rclone-tree")
    rclone("sync", str(tree), "b:rclone-tree/home")
    rclone("check", str(tree), "b:rclone-tree/home", "--download")
    rclone("check", str(tree), "b:rclone-tree/home")
    (tree / "plain.txt").write_text("changed")
    (tree / "empty").unlink()
    out = rclone("sync", str(tree), "b:rclone-tree/home", "-v").stderr
    assert "plain.txt: Copied" in out and "empty: Deleted" in out and "large.bin: Copied" not in out, out
    rclone("moveto", "b:rclone-tree/home/large.bin", "b:rclone-tree/home/moved/large.bin")
    (tree / "moved").mkdir()
    (tree / "large.bin").rename(tree / "moved" / "large.bin")
    rclone("copy", "b:rclone-tree/home", str(tmp_path / "back"))
    same(tree, tmp_path / "back")
    assert rclone("cat", "b:rclone-tree/home/plain.txt").stdout == "changed"
    listed = rclone("lsf", "-R", "b:rclone-tree").stdout
    assert "home/发票/十一月/1.pdf" in listed
    rclone("purge", "b:rclone-tree")
    assert "rclone-tree" not in rclone("lsd", "b:").stdout


def test_s3cmd_puts_gets_and_syncs(shared, tree, tmp_path):
    key_id, secret = shared.key("acme")
    host = shared.objects.removeprefix("http://")
    config = tmp_path / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {key_id}\nsecret_key = {secret}\nhost_base = {host}\nhost_bucket = {host}\n"
        f"bucket_location = {h.REGION}\nuse_https = False\nsignature_v2 = False\n"
    )
    s3cmd = lambda *args, code=0: run("s3cmd", "-c", str(config), "--no-progress", *args, code=code, env={"HOME": str(tmp_path), "LANG": "C.UTF-8"})
    s3cmd("mb", "s3://s3cmd-tree")
    s3cmd("sync", "--multipart-chunk-size-mb=5", f"{tree}/", "s3://s3cmd-tree/home/")
    listed = s3cmd("ls", "-r", "s3://s3cmd-tree").stdout
    assert "s3://s3cmd-tree/home/发票/十一月/1.pdf" in listed and "s3://s3cmd-tree/home/a b+c&d.txt" in listed
    back = tmp_path / "back"
    back.mkdir()
    s3cmd("sync", "s3://s3cmd-tree/home/", f"{back}/")
    same(tree, back)
    s3cmd("cp", "s3://s3cmd-tree/home/plain.txt", "s3://s3cmd-tree/copy.txt")
    s3cmd("mv", "s3://s3cmd-tree/copy.txt", "s3://s3cmd-tree/moved.txt")
    s3cmd("get", "s3://s3cmd-tree/moved.txt", str(tmp_path / "moved.txt"))
    assert (tmp_path / "moved.txt").read_bytes() == (tree / "plain.txt").read_bytes()
    s3cmd("rb", "--recursive", "--force", "s3://s3cmd-tree")
    assert "s3cmd-tree" not in s3cmd("ls").stdout


def test_restic_backs_a_tree_up_checks_and_restores_it(shared, tree, tmp_path):
    key_id, secret = shared.key("acme")
    env = {
        "HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": h.REGION,
        "RESTIC_REPOSITORY": f"s3:{shared.objects}/restic-backup/repo", "RESTIC_PASSWORD": "correct horse",
    }
    restic = lambda *args, code=0, cwd=None: run("restic", "-o", "s3.bucket-lookup=path", "--no-cache", *args, env=env, code=code, cwd=cwd)
    restic("init")
    restic("backup", ".", cwd=tree)
    (tree / "later.txt").write_text("later")
    restic("backup", ".", cwd=tree)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", str(tmp_path / "back"))
    same(tree, tmp_path / "back")
    first = restic("snapshots", "--json").stdout
    assert first.count('"short_id"') == 2
    restic("forget", "--keep-last", "1", "--prune")
    restic("check", "--read-data")
