"""AWS KMS as moto's server plays it, which makes and uses real keys, on a port of its own.

In three points moto 5 differs from what AWS documents, and is corrected here: `Sign` hashes what is
said to be a digest, its PSS salt is the longest possible, not as long as the hash, and
`ScheduleKeyDeletion` fails for an ARN. Run as a program, this file is that server.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.provider import eventually, free_port


@contextmanager
def kms_server() -> Iterator[dict[str, str]]:
    """Run one; gives the environment that boto3 reaches it by."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.kms", "-H", "127.0.0.1", "-p", str(port)],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/moto-api/", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert eventually(answers, within=30)
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.kill()
        server.wait(timeout=30)


def _serve() -> None:
    from moto.kms import exceptions, models, responses, utils
    from moto.server import main

    answer = responses.KmsResponse.sign
    delete = models.KmsBackend.schedule_key_deletion

    def sign_digests_only(self: Any) -> str:
        if self._get_param("MessageType") != "DIGEST":
            raise exceptions.ValidationException("send MessageType DIGEST")
        return answer(self)

    def delete_by_any_id(self: Any, key_id: str, days: int) -> float:
        return delete(self, self.any_id_to_key_id(key_id), days)

    models.KmsBackend.schedule_key_deletion = delete_by_any_id
    responses.KmsResponse.sign = sign_digests_only
    utils.RSAPrivateKey.sign = _sign_digest
    utils.ECDSAPrivateKey.sign = _sign_digest
    main()


def _sign_digest(self: Any, message: bytes, signing_algorithm: str) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    scheme, _, size = signing_algorithm.rpartition("_SHA_")
    algorithm = getattr(hashes, f"SHA{size}")()
    prehashed = utils.Prehashed(algorithm)
    if scheme == "ECDSA":
        return self.private_key.sign(message, ec.ECDSA(prehashed))
    if scheme == "RSASSA_PSS":
        pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
        return self.private_key.sign(message, pss, prehashed)
    return self.private_key.sign(message, padding.PKCS1v15(), prehashed)


if __name__ == "__main__":
    _serve()
