// Uses a Satpost server with requests signed by the published RFC 9421 library: node signer.cjs BASE_URL
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { httpbis } = require('http-message-signatures');

const base = process.argv[2];

// An Ed25519 key from a name, so that a run can be repeated (RFC 8410: the last 32 bytes are the key).
function keyFrom(name) {
  const seed = crypto.createHash('sha256').update(name).digest();
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const secret = crypto.createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const spki = crypto.createPublicKey(secret).export({ format: 'der', type: 'spki' });
  return { id: spki.subarray(-32).toString('hex'), alg: 'ed25519', sign: async (data) => crypto.sign(null, data, secret) };
}

const identity = keyFrom('identity of a client in Node.js');
const messaging = keyFrom('messaging of a client in Node.js');

async function sign(request, fields, label, key) {
  const created = new Date();
  return httpbis.signMessage(
    {
      key,
      name: label,
      fields,
      params: ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
      paramValues: {
        created,
        expires: new Date(created.getTime() + 60_000),
        nonce: crypto.randomBytes(16).toString('hex'),
        tag: 'satpost/1',
      },
    },
    request,
  );
}

async function call(method, path, { signers, body, headers = {} }) {
  let request = { method, url: `${base}${path}`, headers: { host: new URL(base).host, ...headers } };
  const fields = ['@method', '@authority', '@path', '@query'];
  if (body !== undefined) {
    request.headers['content-digest'] = `sha-256=:${crypto.createHash('sha256').update(body).digest('base64')}:`;
    fields.push('content-digest');
  }
  if (method !== 'GET') {
    request.headers['idempotency-key'] = crypto.randomBytes(16).toString('hex');
    fields.push('idempotency-key');
  }
  for (const [place, key] of signers.entries()) {
    request = await sign(request, fields, `sig${place + 1}`, key);
  }
  const answer = await fetch(request.url, { method, headers: request.headers, body });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, json: text === '' ? null : JSON.parse(text), text };
}

const json = (value) => ({ body: JSON.stringify(value), headers: { 'content-type': 'application/json' } });

async function main() {
  const registration = json({ client_id: identity.id, messaging_key: messaging.id });
  const registered = await call('POST', '/v1/clients', { signers: [identity, messaging], ...registration });
  assert.equal(registered.status, 201, registered.text);

  const client = await call('GET', '/v1/clients/self', { signers: [identity] });
  assert.equal(client.json.client_id, identity.id, client.text);

  const opened = await call('PUT', '/v1/policy', { signers: [messaging], ...json({ strangers: 'open' }) });
  assert.equal(opened.status, 204, opened.text);

  const sent = await call('POST', `/v1/queues/${messaging.id}/messages`, {
    signers: [identity],
    body: crypto.randomBytes(512),
    headers: { 'content-type': 'application/octet-stream' },
  });
  assert.equal(sent.status, 201, sent.text);

  const seen = { 'satpost-min-position': sent.headers.get('satpost-position') };
  const waiting = await call('GET', '/v1/messages?limit=1&after=0', { signers: [messaging], headers: seen });
  assert.deepEqual(waiting.json.messages.map((message) => message.id), [sent.json.id]);

  const [last] = waiting.json.messages;
  const acknowledgement = json({ through: last.seq, chain: last.chain });
  const done = await call('POST', '/v1/messages/ack', { signers: [messaging], ...acknowledgement });
  assert.equal(done.json.deleted, 1, done.text);

  const unsigned = await call('GET', '/v1/clients/self', { signers: [] });
  assert.equal(unsigned.status, 401);
  assert.equal(unsigned.headers.get('content-type'), 'application/problem+json');
  console.log(unsigned.json.code);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
