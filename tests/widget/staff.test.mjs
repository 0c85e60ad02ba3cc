import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectStaff } from '../../widget/src/staff.js';
import { live, posted, settled, World } from './world.mjs';

async function console_() {
  const world = new World();
  const seen = [];
  const line = connectStaff({
    url: 'ws://there/ws/staff',
    world,
    enter: async () => ({ ticket: 'once', expires_in: 60 }),
    on: { frame: (frame) => seen.push(frame) },
  });
  line.start();
  await settled();
  world.letIn();
  world.say({ t: 'welcome', v: 1, epoch: 'e1', heartbeat: 25, limits: {}, staff: { id: 'anna' } });
  return { world, line, seqs: () => seen.filter(({ t }) => t === 'event').map(({ thread, seq }) => `${thread}:${seq}`) };
}

test('staff get in with a ticket and are live with the welcome', async () => {
  const { world, line } = await console_();
  assert.deepEqual(world.socket.sent, [{ t: 'hello', v: 1, ticket: 'once' }]);
  assert.equal(line.state, 'live');
});

test('a thread is watched from where it was left, after every cut', async () => {
  const { world, line, seqs } = await console_();
  line.watch('t1');
  assert.deepEqual(world.socket.sent.at(-1), { t: 'watch', thread: 't1' });
  world.say(posted(7), posted(8), live(8));
  world.hangUp();
  await world.pass(500);
  world.letIn();
  world.say({ t: 'welcome', v: 1, epoch: 'e1', heartbeat: 25, limits: {}, staff: { id: 'anna' } });
  assert.deepEqual(world.socket.sent.at(-1), { t: 'watch', thread: 't1', after: 8, epoch: 'e1' });
  world.say(posted(9), live(9));
  assert.deepEqual(seqs(), ['t1:7', 't1:8', 't1:9']);
});

test('a hole is asked for by watching again, once, on the same socket', async () => {
  const { world, line, seqs } = await console_();
  line.watch('t1');
  world.say(posted(1), live(1), posted(3), posted(4));
  await world.pass(0);
  assert.deepEqual(world.socket.sent.slice(-1), [{ t: 'watch', thread: 't1', after: 1, epoch: 'e1' }]);
  assert.equal(world.socket.sent.filter(({ t }) => t === 'watch').length, 2);
  world.say(posted(2), posted(3), posted(4), live(4));
  assert.deepEqual(seqs(), ['t1:1', 't1:2', 't1:3', 't1:4']);
  assert.equal(world.sockets.length, 1);
});

test('what is no longer watched is not shown', async () => {
  const { world, line, seqs } = await console_();
  line.watch('t1');
  world.say(posted(1), live(1));
  line.unwatch('t1');
  assert.deepEqual(world.socket.sent.at(-1), { t: 'unwatch', thread: 't1' });
  world.say(posted(2));
  assert.deepEqual(seqs(), ['t1:1']);
});

test('a heartbeat tells of each watched thread', async () => {
  const { world, line } = await console_();
  line.watch('t1');
  line.watch('t2');
  world.say(posted(1), live(1), { t: 'live', thread: 't2', seq: 0 });
  world.say({ t: 'pong', heads: { t1: 1, t2: 4 } });
  await world.pass(1_000);
  assert.deepEqual(world.socket.sent.at(-1), { t: 'watch', thread: 't2', after: 0, epoch: 'e1' });
});
