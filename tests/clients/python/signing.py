"""Signs requests for Satpost with the published RFC 9421 library, as an `auth` of `requests`.

The identity key and the messaging key of one client are made from a seed, so that a run can be repeated.
"""

import base64
import datetime
import hashlib
import secrets
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from requests.auth import AuthBase

LIFETIME = datetime.timedelta(seconds=60)
# What the mailbox's own key signs; everything else is signed by the identity key.
BY_MESSAGING_KEY = ("/v1/messages", "/v1/queue", "/v1/policy", "/v1/delivery-tokens", "/v1/ws")
PROVES_THE_MESSAGING_KEY = {("POST", "/v1/clients"), ("PUT", "/v1/clients/self/messaging-key")}
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


def key_from(seed: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def public_hex(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


class Keys(HTTPSignatureKeyResolver):
    """The keys of one client, by their hexadecimal public halves."""

    def __init__(self, seed: str):
        identity, messaging = key_from(f"{seed} identity"), key_from(f"{seed} messaging")
        self.identity, self.messaging = public_hex(identity), public_hex(messaging)
        self._private = {self.identity: identity, self.messaging: messaging}

    def resolve_private_key(self, key_id):
        return self._private[key_id]

    def resolve_public_key(self, key_id):
        return self._private[key_id].public_key()


class SatpostSignature(AuthBase):
    """Signs each request as it is about to be sent."""

    def __init__(self, seed: str):
        self.keys = Keys(seed)
        self._signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=self.keys)

    def __call__(self, request):
        path = urlsplit(request.url).path
        own_mailbox = any(path == own or path.startswith(own + "/") for own in BY_MESSAGING_KEY)
        covered = ["@method", "@authority", "@path", "@query"]
        if request.body:
            body = request.body.encode() if isinstance(request.body, str) else request.body
            digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
            request.headers["Content-Digest"] = f"sha-256=:{digest}:"
            covered.append("content-digest")
        if request.method not in SAFE_METHODS:
            request.headers["Idempotency-Key"] = secrets.token_hex(16)
            covered.append("idempotency-key")
        self._sign(request, covered, "sig1", self.keys.messaging if own_mailbox else self.keys.identity)
        if (request.method, path) in PROVES_THE_MESSAGING_KEY:
            self._sign(request, covered, "sig2", self.keys.messaging)
        return request

    def _sign(self, request, covered, label, key_id):
        created = datetime.datetime.now(datetime.timezone.utc)
        self._signer.sign(
            request,
            key_id=key_id,
            created=created,
            expires=created + LIFETIME,
            nonce=secrets.token_hex(16),
            label=label,
            tag="satpost/1",
            covered_component_ids=covered,
            append_if_signature_exists=label != "sig1",
            use_existing_digest="content-digest" in covered,
        )
