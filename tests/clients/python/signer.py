"""Uses a Satpost server with requests signed by the published RFC 9421 library: python signer.py BASE_URL"""

import os
import sys

import requests

from signing import SatpostSignature

base = sys.argv[1]
session = requests.Session()
session.auth = SatpostSignature("a client in Python")
keys = session.auth.keys


def expect(response, status):
    assert response.status_code == status, (response.request.url, response.status_code, response.text)
    return response


# Two signatures, a body, an idempotency key.
registration = {"client_id": keys.identity, "messaging_key": keys.messaging}
expect(session.post(f"{base}/v1/clients", json=registration), 201)
# No body, no query.
client = expect(session.get(f"{base}/v1/clients/self"), 200).json()
assert client["client_id"] == keys.identity, client
# Signed by the messaging key. Nobody is a contact of itself.
expect(session.put(f"{base}/v1/policy", json={"strangers": "open"}), 204)
# A body that is no JSON, to its own queue.
sent = session.post(
    f"{base}/v1/queues/{keys.messaging}/messages",
    data=os.urandom(512),
    headers={"Content-Type": "application/octet-stream"},
)
expect(sent, 201)
# A query with characters that need escaping is signed as it is sent.
seen = {"Satpost-Min-Position": sent.headers["Satpost-Position"]}
waiting = expect(session.get(f"{base}/v1/messages", params={"limit": "1", "after": "0"}, headers=seen), 200).json()
assert [message["id"] for message in waiting["messages"]] == [sent.json()["id"]], waiting
last = waiting["messages"][0]
done = session.post(f"{base}/v1/messages/ack", json={"through": last["seq"], "chain": last["chain"]})
assert expect(done, 200).json()["deleted"] == 1, done.text
# What was signed for another request is refused.
signed = session.prepare_request(requests.Request("GET", f"{base}/v1/clients/self"))
signed.url = f"{base}/v1/transactions"
refused = expect(session.send(signed), 401)
assert refused.headers["Content-Type"] == "application/problem+json"
print(refused.json()["code"])
