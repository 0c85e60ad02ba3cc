/** What careless proxies, wrong clocks, odd pages and odd texts do to the widget: nothing that lasts. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { connect } from '../../widget/src/connection.js';
import { doorOf } from '../../widget/src/door.js';
import { linked } from '../../widget/src/dom.js';
import { emptyLog } from '../../widget/src/log.js';
import { queueOf } from '../../widget/src/queue.js';
import { connectStaff } from '../../widget/src/staff.js';
import { times } from '../../widget/src/times.js';
import { live, posted, settled, welcome, World } from './world.mjs';

const { fetch } = globalThis;
afterEach(() => (globalThis.fetch = fetch));

/** What the door throws when this is what comes back. */
async function refused(status, body, headers = {}) {
  globalThis.fetch = async () => new Response(body, { status, headers });
  return doorOf('https://there').visit({}).then(assert.fail, (error) => error);
}

function line(enter = async () => ({ pass: 'p', thread: 't1', expires_in: 900 })) {
  const world = new World();
  const it = connect({ url: 'ws://there', enter, world, on: { frame() {}, settle() {}, state() {}, mistake() {}, owed: () => false } });
  it.start();
  return { it, world };
}

test('a proxy that says when to come back as a date is not asked again and again', async () => {
  const { wait, stop } = await refused(503, '<html>', { 'Retry-After': 'Sun, 22 Nov 2026 12:00:00 GMT' });
  assert.deepEqual([wait, Boolean(stop)], [0, false]);
  assert.equal((await refused(429, '{"code":"rate_limited"}', { 'Retry-After': '7' })).wait, 7_000);

  let tries = 0;
  globalThis.fetch = async () => new Response('<html>', { status: 503, headers: { 'Retry-After': 'Sun, 22 Nov 2026 12:00:00 GMT' } });
  const door = doorOf('https://there');
  const { it, world } = line(() => (tries++, door.visit({})));
  for (let second = 0; second < 60; second++) {
    await world.pass(1_000);
    await new Promise((done) => setTimeout(done)); // a body is read a little later
  }
  assert.ok(tries > 3 && tries < 40, `${tries} tries in a minute`);
  it.end();
});

test('only what the server itself says is final', async () => {
  assert.equal((await refused(404, '<html>Not found</html>')).stop, undefined);
  assert.equal((await refused(403, '{"message":"blocked"}')).stop, undefined);
  assert.equal((await refused(403, '{"code":"origin_not_allowed"}')).stop, 'origin_not_allowed');
});

test('a clock that is set back does not keep us away', async () => {
  const { world } = line();
  await settled();
  for (let cut = 0; cut < 2; cut++) {
    world.letIn();
    world.say(welcome(), live(0));
    if (cut) world.time -= 3_600_000;
    world.hangUp();
    await world.pass(5_000);
  }
  assert.equal(world.sockets.length, 3);
});

test('a skip after what we do not have is a hole', () => {
  const log = emptyLog();
  log.take({ t: 'event', seq: 3 });
  assert.equal(log.take({ t: 'skip', after: 5, to: 7 }), undefined);
  assert.equal(log.take({ t: 'skip', after: 3, to: 7 }), true);
  assert.equal(log.take({ t: 'skip', after: 2, to: 9 }), true);
  assert.equal(log.last, 9);
});

test('a thread that the server cannot show now is asked for again', async () => {
  const world = new World();
  const it = connectStaff({ url: 'ws://there', world, enter: async () => ({ ticket: 'once' }), on: { frame() {} } });
  it.start();
  await settled();
  world.letIn();
  world.say({ t: 'welcome', v: 1, epoch: 'e1', heartbeat: 25, limits: {}, staff: { id: 'anna' } });
  const watches = () => world.socket.sent.filter(({ t }) => t === 'watch').length;
  it.watch('t1');
  world.say({ t: 'later', code: 'unavailable', retry_ms: 1_000 });
  await world.pass(10_000);
  assert.equal(watches(), 2);
  world.say(posted(1), live(1));
  await world.pass(20_000);
  assert.equal(watches(), 2);
});

test('half a character does not stop what is said after it', () => {
  const sent = [];
  const queue = queueOf({ send: (frame) => sent.push(frame), keep() {}, changed() {}, world: new World() });
  queue.ready(true);
  queue.add({ text: 'cut \ud83d' });
  assert.equal(sent[0].text, 'cut \ufffd');
});

test('a page whose language is none has a chat all the same', () => {
  for (const language of ['de_DE', 'x', '', undefined, '"><b>']) assert.ok(times(language).time(0));
});

test('addresses are found in any text in a moment', () => {
  const seconds = (length) => {
    const all = Array.from({ length: 9 }, () => {
      const began = performance.now();
      linked('a'.repeat(length), true);
      return performance.now() - began;
    });
    return Math.min(...all);
  };
  const soon = () => seconds(16_384) < 9 * seconds(4_096) || seconds(16_384) < 2; // squared it would be 16 times
  assert.ok([1, 2, 3, 4, 5].some(soon), 'a busy machine stands still now and then, but not five times');
});
