import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyLog } from '../../widget/src/log.js';

const event = (seq) => ({ t: 'event', seq });
const skip = (to) => ({ t: 'skip', to });
const live = (seq) => ({ t: 'live', seq });

test('a window begins with the first frame there is, wherever that is', () => {
  const log = emptyLog();
  assert.equal(log.take(event(57)), true);
  assert.deepEqual([log.first, log.last], [57, 57]);
});

test('what follows is new, what is known is not, and a jump is a hole', () => {
  const log = emptyLog();
  const taken = [1, 2, 2, 1, 4, 3, 4].map((seq) => log.take(event(seq)));
  assert.deepEqual(taken, [true, true, false, false, undefined, true, true]);
});

test('an event that says to whom something was assigned stands where its own number says', () => {
  const log = emptyLog();
  log.take(event(6));
  assert.equal(log.take({ t: 'event', seq: 7, kind: 'assigned', to: 'anna' }), true);
  assert.equal(log.last, 7);
});

test('a skip says that everything up to there is seen, however far it reaches', () => {
  const log = emptyLog();
  log.take(event(3));
  assert.equal(log.take(skip(9)), true);
  assert.equal(log.take(event(10)), true);
  assert.equal(log.take(skip(4)), false);
});

test('a window that begins with a skip begins after it', () => {
  const log = emptyLog();
  log.take(skip(20));
  assert.equal(log.first, 21);
});

test('an empty thread is live at zero, and its first message is number one', () => {
  const log = emptyLog();
  assert.equal(log.take(live(0)), true);
  assert.equal(log.take(event(1)), true);
  assert.equal(log.first, 1);
});

test('a live that is ahead of what came is a hole, but only once: nobody is asked for ever', () => {
  const log = emptyLog();
  log.take(event(1));
  assert.equal(log.take(live(3)), undefined);
  log.asked = log.last;
  assert.equal(log.take(live(3)), true);
  assert.equal(log.last, 3);
});

test('any order and any repetition leaves a window without a hole', () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (let round = 0; round < 500; round++) {
    const log = emptyLog();
    const shown = [];
    log.take(event(1));
    shown.push(1);
    for (let n = 0; n < 60; n++) {
      const seq = 1 + random(20);
      if (log.take(event(seq))) shown.push(seq);
    }
    assert.deepEqual(shown, Array.from({ length: shown.length }, (_, n) => n + 1));
  }
});

test('an event stands where its number says, whatever else it says', () => {
  const log = emptyLog();
  log.take(event(1));
  assert.equal(log.take({ t: 'event', seq: 2, to: 'anna' }), true);
  assert.equal(log.last, 2);
});
