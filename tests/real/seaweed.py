"""SeaweedFS as the real S3: one ``weed mini`` process with an http and an https port, and a CA of its own."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from botocore.config import Config
from botocore.session import Session
from real.realproc import RealProcess, free_port

ACCESS_KEY, SECRET_KEY = "testkey", "testsecret123"
DOMAIN = "s3.test"


@dataclass(frozen=True)
class Seaweed:
    """``http`` and ``https`` are ``127.0.0.1:port``; ``ca_file`` signed the certificate."""

    http: str
    https: str
    ca_file: Path

    def section(self, bucket: str, **changes: Any) -> dict[str, Any]:
        """A ``config`` section for one of its buckets, over http unless told otherwise."""
        return {
            "bucket": bucket,
            "endpoint": self.http,
            "insecure": True,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            **changes,
        }

    def client(self, **settings: Any) -> BaseClient:
        """A plain client, to prepare and to look behind the bucket's back."""
        return Session().create_client(
            "s3",
            endpoint_url=f"http://{self.http}",
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, **settings),
        )

    def make_bucket(self, name: str) -> str:
        """The name of a bucket that is there from now on."""
        client = self.client()
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
        return name


@contextmanager
def running_seaweed(weed: str, folder: Path) -> Iterator[Seaweed]:
    """A server with an empty data folder, ready when it has taken a write."""
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    # Folders are real there and stay in listings after their last object, for two minutes unless told otherwise.
    (folder / "filer.toml").write_text(
        '[filer.options]\ns3.empty_folder_cleanup_delay = "1s"\n'
        f'[leveldb2]\nenabled = true\ndir = "{folder}/data/filerldb2"\n'
    )
    ca_file = make_certificates(folder)
    ports = {name: free_port() for name in ("s3", "master", "volume", "filer", "admin")}
    https = free_port()
    argv = [weed, "-logtostderr", "mini", f"-dir={folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    argv += [f"-s3.config={folder}/s3.json", f"-s3.domainName={DOMAIN}", f"-s3.port.https={https}"]
    argv += [f"-s3.cert.file={folder}/server.pem", f"-s3.key.file={folder}/server.key"]
    argv += ["-master.telemetry=false", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    argv += [f"-filer.localSocket={folder}/f.sock", f"-s3.localSocket={folder}/s.sock"]
    for name, port in ports.items():
        argv += [f"-{name}.port={port}", f"-{name}.port.grpc={free_port()}"]
    seaweed = Seaweed(f"127.0.0.1:{ports['s3']}", f"127.0.0.1:{https}", ca_file)

    def takes_writes() -> bool:
        # The S3 port opens before anything can be stored.
        try:
            client = seaweed.client(connect_timeout=2, read_timeout=5)
            client.create_bucket(Bucket="probe")
            client.put_object(Bucket="probe", Key="x", Body=b"1")
        except Exception:
            return False
        return True

    with RealProcess(argv, takes_writes, folder, name="seaweedfs"):
        yield seaweed


def make_certificates(folder: Path) -> Path:
    """A CA and a server certificate for 127.0.0.1 (server.pem, server.key) by openssl; returns the CA's certificate."""
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for command in (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem",
        "req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder / "ca.pem"
