import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backOff, connect } from '../../widget/src/connection.js';
import { live, posted, settled, welcome, World } from './world.mjs';

/** A visitor's line with everything it says written down. */
function line({ enter, owed = () => false } = {}) {
  const world = new World();
  const seen = { frames: [], settled: [], states: [], renewed: [], mistakes: 0 };
  const it = connect({
    url: 'ws://there/ws/visitor',
    world,
    enter: async (renew) => {
      seen.renewed.push(Boolean(renew));
      return enter ? enter(renew) : { pass: `pass${seen.renewed.length}`, thread: 't1', expires_in: 900 };
    },
    on: {
      frame: (frame) => seen.frames.push(frame),
      settle: (frame) => seen.settled.push(frame.key),
      state: (...state) => seen.states.push(state.filter(Boolean).join(' ')),
      mistake: () => seen.mistakes++,
      owed,
    },
  });
  return { it, world, seen, texts: () => seen.frames.filter(({ t }) => t === 'event').map(({ seq }) => seq) };
}

async function onTheLine(options) {
  const all = line(options);
  all.it.start();
  await settled();
  all.world.letIn();
  all.world.say(welcome(), posted(1), posted(2), live(2));
  return all;
}

test('it says hello with its pass, without a place the first time, and nothing secret in the address', async () => {
  const { it, world } = line();
  it.start();
  await settled();
  world.letIn();

  assert.deepEqual(world.socket.sent, [{ t: 'hello', v: 1, pass: 'pass1' }]);
  assert.equal(world.socket.url, 'ws://there/ws/visitor');
  assert.equal(world.socket.protocol, 'onethread.v1');
});

test('after a cut it says where it was and gets what it missed, once', async () => {
  const { world, texts, seen } = await onTheLine();
  world.hangUp();
  await world.pass(500);
  world.letIn();
  assert.deepEqual(world.socket.sent, [{ t: 'hello', v: 1, pass: 'pass2', after: 2, epoch: 'e1' }]);

  world.say(welcome(), posted(2), posted(3), posted(4), live(4));
  assert.deepEqual(texts(), [1, 2, 3, 4]);
  assert.deepEqual(seen.states, ['connecting', 'live', 'waiting', 'connecting', 'live']);
});

test('a jump is not shown but asked for, on a new socket, at once', async () => {
  const { world, texts } = await onTheLine();
  world.say(posted(5));
  assert.deepEqual(texts(), [1, 2]);
  await world.pass(0);
  world.letIn();
  assert.equal(world.socket.sent[0].after, 2);
});

test('a hole that nobody fills is asked for with patience', async () => {
  const { world } = await onTheLine();
  world.say(posted(5));
  await world.pass(0);
  world.letIn();
  world.say(welcome(), posted(5));
  const before = world.sockets.length;
  await world.pass(0);
  assert.equal(world.sockets.length, before);
  await world.pass(500);
  assert.equal(world.sockets.length, before + 1);
});

test('an answer to a key of ours settles it whatever its number', async () => {
  const { world, seen } = await onTheLine();
  world.say(posted(9, { key: 'mine' }));
  assert.deepEqual(seen.settled, ['mine']);
});

test('a heartbeat that knows more than we do, and still does a moment later, means that something was lost', async () => {
  const { world, texts } = await onTheLine();
  await world.pass(25_000);
  assert.deepEqual(world.socket.sent.at(-1), { t: 'ping' });
  world.say({ t: 'pong', heads: { t1: 3 } });
  await world.pass(1_000);
  assert.equal(world.sockets.length, 2);

  await world.pass(0);
  world.letIn();
  world.say(welcome(), posted(3), live(3));
  assert.deepEqual(texts(), [1, 2, 3]);
});

test('a heartbeat that overtook its event is no alarm', async () => {
  const { world } = await onTheLine();
  world.say({ t: 'pong', heads: { t1: 3 } }, posted(3));
  await world.pass(2_000);
  assert.equal(world.sockets.length, 1);
});

test('two missed pongs: the line is dead', async () => {
  const { world, it } = await onTheLine();
  await world.pass(74_000);
  assert.equal(it.state, 'live');
  await world.pass(1_000);
  assert.equal(it.state, 'waiting');
});

test('a pong keeps it alive', async () => {
  const { world, it } = await onTheLine();
  for (let n = 0; n < 10; n++) {
    await world.pass(25_000);
    world.say({ t: 'pong', heads: { t1: 2 } });
  }
  assert.equal(it.state, 'live');
  assert.equal(world.sockets.length, 1);
});

test('a wake asks a line that seems to stand, and an unanswered question ends it in five seconds', async () => {
  const { world, it } = await onTheLine();
  it.wake();
  assert.deepEqual(world.socket.sent.at(-1), { t: 'ping' });
  await world.pass(5_000);
  assert.equal(it.state, 'waiting');
});

test('a wake comes back at once instead of waiting', async () => {
  const { world, it } = await onTheLine();
  world.hangUp();
  it.wake();
  await settled();
  assert.equal(world.sockets.length, 2);
});

test('a socket that never opens is given up', async () => {
  const { world, it } = line();
  it.start();
  await settled();
  await world.pass(20_000);
  assert.equal(it.state, 'waiting');
  assert.ok(world.sockets[0].closed);
});

test('a reset begins again from the newest messages', async () => {
  const { world, texts, it } = await onTheLine();
  world.hangUp();
  await world.pass(500);
  world.letIn();
  world.say(welcome({ epoch: 'e2' }), { t: 'reset', thread: 't1', epoch: 'e2', seq: 1 }, posted(1), live(1));
  assert.deepEqual(texts(), [1, 2, 1]);
  assert.deepEqual([it.log.last, it.log.epoch], [1, 'e2']);
});

test('renew is asked for when four fifths of the pass are over', async () => {
  const { world } = await onTheLine({ enter: () => ({ pass: 'p', thread: 't1', expires_in: 60 }) });
  await world.pass(47_000);
  assert.ok(!world.socket.sent.some(({ t }) => t === 'renew'));
  await world.pass(1_000);
  assert.ok(world.socket.sent.some(({ t }) => t === 'renew'));
});

test('a server that goes away is left within the time it gives, and not earlier by its own close', async () => {
  const { world } = await onTheLine();
  world.chance = 0.5;
  world.say({ t: 'drain', in_ms: 10_000 });
  await world.pass(1_000);
  world.hangUp(1012);
  world.chance = 0;
  await world.pass(3_999);
  assert.equal(world.sockets.length, 1);
  await world.pass(6_000);
  assert.equal(world.sockets.length, 2);
});

test('a hidden tab hangs up after five minutes, and resumes when it is seen', async () => {
  const { world, it } = await onTheLine();
  it.hidden(true);
  for (let n = 0; n < 12; n++) {
    await world.pass(25_000);
    if (it.state === 'live') world.say({ t: 'pong', heads: { t1: 2 } });
  }
  assert.equal(it.state, 'resting');
  await world.pass(600_000);
  assert.equal(world.sockets.length, 1);

  it.hidden(false);
  await settled();
  world.letIn();
  assert.equal(world.socket.sent[0].after, 2);
});

test('a hidden tab that somebody owes a reply to stays', async () => {
  let owed = true;
  const { world, it } = await onTheLine({ owed: () => owed });
  it.hidden(true);
  const minutes = async (n) => {
    for (let ping = 0; ping < n * 2.4; ping++) {
      await world.pass(25_000);
      if (it.state === 'live') world.say({ t: 'pong', heads: { t1: 2 } });
    }
  };
  await minutes(20);
  assert.equal(it.state, 'live');
  owed = false;
  await minutes(2);
  assert.equal(it.state, 'resting');
});

test('who is not let in for good is told why and does not knock again', async () => {
  const { it, world, seen } = line({
    enter: () => {
      throw Object.assign(new Error(), { stop: 'origin_not_allowed' });
    },
  });
  it.start();
  await settled();
  await world.pass(600_000);
  it.wake();
  it.hidden(true);
  it.hidden(false);
  await settled();
  assert.deepEqual(seen.states, ['connecting', 'stopped origin_not_allowed']);
  it.start(); // a person who asks again is answered again
  await settled();
  assert.equal(seen.states.length, 4);
});

test('a door that names a time is not asked before, whoever wakes us', async () => {
  let asked = 0;
  const { it, world } = line({
    enter: () => {
      asked++;
      throw Object.assign(new Error(), { wait: 30_000 });
    },
  });
  it.start();
  await settled();
  await world.pass(29_000);
  it.wake();
  await settled();
  assert.equal(asked, 1);
  await world.pass(2_000);
  assert.equal(asked, 2);
});

test('without a reason to be there it rests, and asks nobody', async () => {
  const { it, world } = line({ enter: () => undefined });
  it.start();
  await settled();
  it.wake();
  await world.pass(60_000);
  assert.equal(it.state, 'resting');
  assert.equal(world.sockets.length, 0);
});

test('ended, it forgets where it was', async () => {
  const { it, world } = await onTheLine();
  it.end();
  assert.ok(world.socket.closed);
  it.start();
  await settled();
  world.letIn();
  assert.equal(world.socket.sent[0].after, undefined);
});

test('frames of a socket that was left are not heard', async () => {
  const { it, world, texts } = await onTheLine();
  const [old] = world.sockets;
  it.rest();
  old.onmessage({ data: JSON.stringify(posted(3)) });
  old.onclose({ code: 1006 });
  assert.deepEqual(texts(), [1, 2]);
  assert.equal(it.state, 'resting');
});

test('close code 4029 says how many seconds to wait, and nobody is woken before', async () => {
  const { world, it } = await onTheLine();
  world.chance = 0;
  world.hangUp(4029, '12');
  await world.pass(11_999);
  it.wake();
  assert.equal(world.sockets.length, 1);
  await world.pass(1);
  assert.equal(world.sockets.length, 2);
});

// When every close code lets us come back, as docs/protocol.md says.
const returns = [
  [1006, 0, 500],
  [1011, 0, 500],
  [1012, 0, 500],
  [1013, 5_000, 5_500],
  [4029, 5_000, 5_500],
  [4008, 0, 0],
  [4001, 0, 0],
];
for (const [code, earliest, latest] of returns) {
  test(`after ${code} it is back between ${earliest} and ${latest} ms`, async () => {
    for (const chance of [0, 0.999]) {
      const { world } = await onTheLine();
      world.chance = chance;
      world.hangUp(code);
      if (earliest) {
        await world.pass(earliest - 1);
        assert.equal(world.sockets.length, 1);
        await world.pass(1);
      }
      await world.pass(latest - earliest);
      assert.equal(world.sockets.length, 2);
    }
  });
}

test('an expired pass is renewed, and only that', async () => {
  const { world, seen } = await onTheLine();
  world.hangUp(4001);
  await world.pass(0);
  assert.deepEqual(seen.renewed, [false, true]);
  world.letIn();
  world.say(welcome(), live(2));
  world.hangUp();
  await world.pass(500);
  assert.deepEqual(seen.renewed, [false, true, false]);
});

test('a server that keeps closing as too slow is not knocked at without a pause', async () => {
  const { world } = await onTheLine();
  world.hangUp(4008);
  await world.pass(0);
  assert.equal(world.sockets.length, 2);
  world.letIn();
  world.hangUp(4008);
  await world.pass(0);
  assert.equal(world.sockets.length, 2);
});

const ends = [
  [1000, 'resting'],
  [1001, 'resting'],
  [4003, 'stopped not_allowed'],
  [4004, 'stopped outdated'],
];
for (const [code, state] of ends) {
  test(`after ${code} it does not come back by itself, and is ${state}`, async () => {
    const { world, seen } = await onTheLine();
    world.hangUp(code);
    await world.pass(600_000);
    assert.equal(world.sockets.length, 1);
    assert.equal(seen.states.at(-1), state);
  });
}

for (const code of [1002, 1003, 1007, 1008, 1009]) {
  test(`${code} is our mistake: the frame is given up, the line is not`, async () => {
    const { world, seen } = await onTheLine();
    world.hangUp(code);
    assert.equal(seen.mistakes, 1);
    await world.pass(500);
    assert.equal(world.sockets.length, 2);
  });
}

test('the back-off doubles from half a second, at most four in the first minute, then thirty', () => {
  const world = new World();
  world.chance = 1;
  const pause = backOff(world);
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => pause.next()), [500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  world.time += 60_000;
  assert.deepEqual([1, 2].map(() => pause.next()), [30_000, 30_000]);
});

test('a back-off is anything from nothing to its most', () => {
  const world = new World();
  const pause = backOff(world);
  world.chance = 0;
  assert.equal(pause.next(), 0);
});

test('sixty seconds of calm make the next cut a new one; fewer do not', () => {
  const world = new World();
  world.chance = 1;
  const pause = backOff(world);
  const cutAfter = (ms) => {
    pause.up();
    world.time += ms;
    pause.down();
    return pause.next();
  };
  pause.next();
  assert.equal(cutAfter(59_000), 1_000);
  assert.equal(cutAfter(60_000), 500);
});
