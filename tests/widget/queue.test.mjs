import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueOf } from '../../widget/src/queue.js';
import { World } from './world.mjs';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function aQueue({ up = true } = {}) {
  const world = new World();
  const sent = [];
  const kept = [];
  const queue = queueOf({
    world,
    send: (frame) => (sent.push(structuredClone(frame)), true),
    keep: (posts) => kept.push(structuredClone(posts)),
    changed() {},
  });
  if (up) queue.ready(true);
  const acknowledge = (n = sent.length - 1) => queue.settle({ t: 'event', key: sent[n].key, seq: n + 1 });
  return { queue, world, sent, kept, acknowledge, texts: () => sent.map(({ text }) => text) };
}

test('a key is a UUID, made before the first try', () => {
  const { queue, sent } = aQueue({ up: false });
  queue.add({ text: 'hello' });
  assert.match(queue.posts[0].key, UUID);
  assert.deepEqual(sent, []);
});

test('a post is written down, as tried, before it is sent', () => {
  const world = new World();
  const order = [];
  const queue = queueOf({
    world,
    send: () => order.push('sent'),
    keep: (posts) => order.push(posts[0]?.tried ? 'kept' : 'kept untried'),
    changed() {},
  });
  queue.ready(true);
  order.length = 0;
  queue.add({ text: 'hello' });
  assert.deepEqual(order, ['kept', 'sent']);
});

test('one post is on its way at a time, the rest wait in their order', () => {
  const { queue, texts, acknowledge } = aQueue();
  for (const text of ['one', 'two', 'three']) queue.add({ text });
  assert.deepEqual(texts(), ['one']);
  acknowledge();
  assert.deepEqual(texts(), ['one', 'two']);
  acknowledge();
  acknowledge();
  assert.deepEqual(queue.posts, []);
});

test('after a cut the same words go out under the same key', () => {
  const { queue, sent } = aQueue();
  queue.add({ text: 'hello' });
  queue.ready(false);
  assert.equal(queue.flying, undefined);
  queue.ready(true);
  assert.equal(sent.length, 2);
  assert.deepEqual(sent[0], sent[1]);
});

test('an acknowledgement during the cut settles it without another try', () => {
  const { queue, sent } = aQueue();
  queue.add({ text: 'hello' });
  queue.ready(false);
  queue.settle({ t: 'event', key: sent[0].key, seq: 1 });
  queue.ready(true);
  assert.equal(sent.length, 1);
});

test('"done" is an acknowledgement too', () => {
  const { queue, sent } = aQueue();
  queue.add({ text: 'hello' });
  queue.settle({ t: 'done', key: sent[0].key, seq: 1 });
  assert.deepEqual(queue.posts, []);
});

test('"later" keeps the words and the key and tries again when told', async () => {
  const { queue, world, sent } = aQueue();
  queue.add({ text: 'hello' });
  queue.settle({ t: 'later', key: sent[0].key, code: 'unavailable', retry_ms: 2_000 });
  await world.pass(1_999);
  assert.equal(sent.length, 1);
  await world.pass(501);
  assert.deepEqual(sent[1], sent[0]);
});

test('a refusal stays with its words, and what follows is sent', () => {
  const { queue, sent, texts } = aQueue();
  queue.add({ text: 'too long' });
  queue.add({ text: 'fine' });
  queue.settle({ t: 'refused', key: sent[0].key, code: 'message_too_long' });
  assert.equal(queue.posts[0].refused, 'message_too_long');
  assert.deepEqual(texts(), ['too long', 'fine']);
});

test('trying again uses the same key, unless that key stands for other words', () => {
  const { queue, sent } = aQueue();
  queue.add({ text: 'a' });
  const [{ key }] = sent;
  queue.settle({ t: 'refused', key, code: 'not_allowed' });
  queue.retry(key);
  assert.equal(sent[1].key, key);
  queue.settle({ t: 'refused', key, code: 'key_conflict' });
  queue.retry(key);
  assert.notEqual(sent[2].key, key);
});

test('the person may discard what is not on its way, and gets the words back', () => {
  const { queue, sent } = aQueue();
  queue.add({ text: 'one' });
  queue.add({ text: 'two' });
  assert.equal(queue.discard(sent[0].key), undefined);
  assert.equal(queue.discard(queue.posts[1].key), 'two');
  assert.equal(queue.posts.length, 1);
});

test('a hang-up because of our frame gives up that frame and goes on with the next', () => {
  const { queue, texts } = aQueue();
  queue.add({ text: 'poison' });
  queue.add({ text: 'fine' });
  queue.mistake();
  queue.ready(false);
  queue.ready(true);
  assert.equal(queue.posts[0].refused, 'bad_frame');
  assert.deepEqual(texts().slice(-1), ['fine']);
});

test("what was left behind is taken over once, in the order it was said", () => {
  const { queue, world } = aQueue({ up: false });
  queue.add({ text: 'new' });
  world.time += 1;
  const old = { key: 'k', text: 'old', at: '2026-11-21T10:00:00.000Z', tried: true };
  queue.adopt([old]);
  queue.adopt([old]);
  assert.deepEqual(queue.posts.map(({ text }) => text), ['old', 'new']);
});

test("a stranger's answer settles nothing", () => {
  const { queue } = aQueue();
  queue.add({ text: 'hello' });
  queue.settle({ t: 'event', key: 'not ours', seq: 1 });
  assert.equal(queue.posts.length, 1);
});

test('nothing is lost and nothing is doubled, whatever is cut and repeated', () => {
  for (let seed = 1; seed < 300; seed++) {
    let state = seed;
    const random = (below) => (state = (state * 48271) % 2147483647) % below;
    const log = [];
    const onWire = [];
    const queue = queueOf({ world: new World(), send: (frame) => (onWire.push(frame), true), keep() {}, changed() {} });
    let up = false;
    const said = [];
    for (let n = 0; n < 120 || queue.posts.length; n++) {
      const act = n < 120 ? random(6) : n % 3;
      if (act === 0 || (n >= 120 && !up)) queue.ready((up = true));
      else if (act === 1 && n < 120) queue.ready((up = false));
      else if (act === 5) {
        said.push(`${said.length}`);
        queue.add({ text: said.at(-1) });
      } else if (onWire.length) {
        // The server stores the newest frame, or the frame is lost; its answer arrives, or is lost.
        const frame = onWire.at(-1);
        if (act === 2 && !log.some(({ key }) => key === frame.key)) log.push(frame);
        if (log.some(({ key }) => key === frame.key) && (n >= 120 || random(2))) queue.settle({ t: 'event', key: frame.key, seq: 1 });
      }
    }
    assert.deepEqual(log.map(({ text }) => text), said, `seed ${seed}`);
  }
});
