// Drives the official client for Node.js against a facade: node facade.cjs ADDRESS append|read-only
"use strict";
const assert = require("node:assert/strict");
const {
  AccessDeniedError, BACKWARDS, END, FORWARDS, KurrentDBClient, NO_STREAM, START, StreamNotFoundError,
  WrongExpectedVersionError, binaryEvent, excludeSystemEvents, jsonEvent, streamNameFilter,
} = require("@kurrent/kurrentdb-client");

const [address, mode] = process.argv.slice(2);
const client = KurrentDBClient.connectionString(`kurrentdb://${address}?tls=false`);

async function all(stream) {
  const events = [];
  for await (const resolved of stream) events.push(resolved.event);
  return events;
}

function numbers(events) {
  return events.map((event) => event.data.number);
}

function counted(number) {
  return jsonEvent({ type: "counted", data: { number }, metadata: { from: "node" } });
}

async function appendsAndReads() {
  const first = await client.appendToStream("node-a", [counted(0), counted(1), counted(2)], { streamState: NO_STREAM });
  assert.equal(first.success, true);
  assert.equal(first.nextExpectedRevision, 2n);
  const second = await client.appendToStream("node-a", counted(3), { streamState: 2n });
  assert.equal(second.nextExpectedRevision, 3n);
  const bytes = Uint8Array.from([0, 255, 10]);
  await client.appendToStream("node-b", binaryEvent({ type: "kept", data: bytes, metadata: bytes }), { streamState: "any" });

  assert.deepEqual(numbers(await all(client.readStream("node-a"))), [0, 1, 2, 3]);
  const back = client.readStream("node-a", { direction: BACKWARDS, fromRevision: END, maxCount: 2 });
  assert.deepEqual(numbers(await all(back)), [3, 2]);
  const middle = client.readStream("node-a", { fromRevision: 1n, maxCount: 2 });
  assert.deepEqual(numbers(await all(middle)), [1, 2]);

  const [event] = await all(client.readStream("node-a", { maxCount: 1 }));
  assert.deepEqual(event.metadata, { from: "node" });
  assert.ok(Math.abs(event.created.getTime() - Date.now()) < 3_600_000, `created at ${event.created}`);
  const [kept] = await all(client.readStream("node-b"));
  assert.deepEqual([...kept.data], [...bytes]);
  assert.deepEqual([...kept.metadata], [...bytes]);
}

async function readsTheWholeLog() {
  const forwards = await all(client.readAll({ direction: FORWARDS, fromPosition: START }));
  assert.equal(forwards.length, 5);
  const backwards = await all(client.readAll({ direction: BACKWARDS, fromPosition: END }));
  assert.deepEqual(backwards.map((event) => event.id), forwards.map((event) => event.id).reverse());
  const last = await all(client.readAll({ fromPosition: forwards[3].position }));
  assert.deepEqual(last.map((event) => event.id), [forwards[3].id, forwards[4].id]);
}

async function refusesWhatTheRealServerRefuses() {
  await assert.rejects(client.appendToStream("node-a", counted(9), { streamState: 0n }), (error) => {
    assert.ok(error instanceof WrongExpectedVersionError, String(error));
    assert.equal(error.actualState ?? error.actualVersion, 3n);
    return true;
  });
  await assert.rejects(all(client.readStream("node-nobody")), StreamNotFoundError);
  await assert.rejects(all(client.readStream("$ce-node")), StreamNotFoundError);
  await assert.rejects(client.deleteStream("node-a"), AccessDeniedError);
  await assert.rejects(client.appendToStream("no_category", counted(9)), /category-name|BadRequest/i);
}

// History, the sign that it is over, then live; and only what the filter wants.
async function follows() {
  const filter = streamNameFilter({ prefixes: ["node-a"] });
  const subscription = client.subscribeToAll({ fromPosition: START, filter });
  const seen = [];
  let caughtUp = 0;
  subscription.on("caughtUp", () => (caughtUp += 1));
  for await (const resolved of subscription) {
    seen.push(resolved.event.data.number);
    if (seen.length === 4) {
      await client.appendToStream("node-b", counted(50), { streamState: 0n });
      await client.appendToStream("node-a", counted(4), { streamState: 3n });
    }
    if (seen.length === 5) break;
  }
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  assert.equal(caughtUp, 1);

  const ofOneStream = client.subscribeToStream("node-a", { fromRevision: 2n });
  const rest = [];
  for await (const resolved of ofOneStream) {
    rest.push(resolved.event.data.number);
    if (rest.length === 2) break;
  }
  assert.deepEqual(rest, [3, 4]);

  const users = client.subscribeToAll({ fromPosition: END, filter: excludeSystemEvents() });
  await new Promise((resolve) => users.once("caughtUp", resolve));
  await client.appendToStream("node-c", counted(60), { streamState: NO_STREAM });
  for await (const resolved of users) {
    assert.equal(resolved.event.data.number, 60);
    break;
  }
}

async function findsTheNodeByGossip() {
  const cluster = KurrentDBClient.connectionString(`kurrentdb+discover://${address}?tls=false`);
  assert.deepEqual(numbers(await all(cluster.readStream("node-a", { maxCount: 1 }))), [0]);
  await cluster.dispose();
}

async function readOnly() {
  const refused = client.appendToStream("node-a", counted(0), { streamState: NO_STREAM });
  await assert.rejects(refused, AccessDeniedError);
  await assert.rejects(all(client.readStream("node-a")), StreamNotFoundError);
  assert.deepEqual(await all(client.readAll()), []);
}

async function main() {
  if (mode === "append") {
    await appendsAndReads();
    await readsTheWholeLog();
    await refusesWhatTheRealServerRefuses();
    await follows();
    await findsTheNodeByGossip();
  } else {
    await readOnly();
  }
  await client.dispose();
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
