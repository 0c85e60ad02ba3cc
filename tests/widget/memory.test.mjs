import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryOf } from '../../widget/src/memory.js';
import { settled } from './world.mjs';

/** A browser's storage, as far as it is used. */
class Storage {
  getItem(name) {
    return Object.hasOwn(this, name) ? this[name] : null;
  }
  setItem(name, value) {
    this[name] = `${value}`;
  }
  removeItem(name) {
    delete this[name];
  }
}

/** Web Locks of one origin, shared by its tabs. */
function locks() {
  const held = new Set();
  const turns = new Map();
  return {
    async request(name, options, then) {
      if (held.has(name) && options.ifAvailable) return then(null);
      while (held.has(name)) await turns.get(name);
      held.add(name);
      const mine = Promise.resolve(then({ name })).finally(() => held.delete(name));
      turns.set(name, mine);
      return mine;
    },
    held,
  };
}

/** A device with its storage; each tab has a session of its own. */
function device() {
  const local = new Storage();
  const shared = locks();
  let tabs = 0;
  const tab = (session = new Storage()) => {
    const id = `tab${++tabs}`;
    const memory = memoryOf('onethread:here:demo:', { session: () => session, local: () => local, locks: shared, id });
    return Object.assign(memory, { session_: session, id_: id });
  };
  return { local, tab, locks: shared };
}

const agree = (memory) => {
  memory.agreed = true;
  memory.learn({ visitor: 'secret', consent: 'v1' });
};

test('before the person has agreed nothing is written anywhere', () => {
  const { local, tab } = device();
  const memory = tab();
  memory.learn({ visitor: 'secret', language: 'de' });
  memory.note({ open: true, draft: 'my words' });
  memory.keep([{ key: 'k', text: 'my words' }]);
  assert.deepEqual([Object.keys(local), Object.keys(memory.session_)], [[], []]);
});

test('once agreed it is known until the tab ends, and not on the device', () => {
  const { local, tab } = device();
  const memory = tab();
  agree(memory);
  assert.deepEqual(Object.keys(local), []);
  assert.equal(tab(memory.session_).visit.visitor, 'secret');
  assert.equal(tab().agreed, false);
});

test('"remember me" moves it to the device, and back when ticked off', () => {
  const { local, tab } = device();
  const memory = tab();
  agree(memory);
  memory.outlive(true);
  assert.equal(tab().visit.visitor, 'secret');
  assert.equal(Object.keys(memory.session_).length, 0);
  memory.outlive(false);
  assert.deepEqual(Object.keys(local), []);
  assert.equal(tab(memory.session_).visit.visitor, 'secret');
});

test('of two tabs that are told to remember, the second goes over to the visitor of the first', async () => {
  const { local, tab } = device();
  const [one, other] = [tab(), tab()];
  const met = [];
  for (const [memory, visitor] of [[one, 'first'], [other, 'second']]) {
    memory.met = () => met.push(visitor);
    memory.learn({ visitor });
    memory.outlive(true);
  }
  for (const memory of [one, other]) {
    memory.agreed = true;
    memory.learn({ consent: 'v1' });
  }
  await settled();
  assert.deepEqual(met, ['second']);
  assert.deepEqual([one, other].map(({ visit }) => visit.visitor), ['first', 'first']);
  assert.equal(JSON.parse(local['onethread:here:demo:visit']).visitor, 'first');
});

test('a tab that had a conversation of its own goes over too, and each hears of it in its storage event', async () => {
  const { local, tab } = device();
  const [one, other] = [tab(), tab()];
  const place = 'onethread:here:demo:visit';
  let met = 0;
  other.met = () => met++;
  agree(one);
  one.outlive(true);
  other.agreed = true;
  other.learn({ visitor: 'own', consent: 'v1' });
  other.outlive(true);
  await settled();
  assert.deepEqual([other.visit.visitor, met, Object.keys(other.session_)], ['secret', 1, []]);
  other.elsewhere({ key: place, newValue: local[place] });
  assert.equal(met, 1); // nothing new
  other.elsewhere({ key: place, newValue: JSON.stringify({ visitor: 'renewed' }) });
  assert.deepEqual([other.visit.visitor, met], ['renewed', 2]);
});

test('a secret that the server has replaced is replaced on the device, unless another tab was first', async () => {
  const { local, tab } = device();
  const one = tab();
  agree(one);
  one.outlive(true);
  const other = tab();
  const kept = () => JSON.parse(local['onethread:here:demo:visit']).visitor;
  one.learn({ visitor: 'renewed' });
  await settled();
  assert.equal(kept(), 'renewed');
  other.learn({ visitor: 'renewed as well' });
  await settled();
  assert.deepEqual([kept(), other.visit.visitor], ['renewed', 'renewed']);
});

test('forgotten or ticked off while another tab held the lock, nothing is written any more', async () => {
  let free;
  const local = new Storage();
  const waiting = { request: (_, __, then) => new Promise((done) => (free = () => done(then({})))) };
  const memory = memoryOf('x:', { session: () => new Storage(), local: () => local, locks: waiting, id: '1' });
  agree(memory);
  memory.outlive(true);
  memory.forget();
  free();
  await settled();
  assert.deepEqual(Object.keys(local), []);
});

test('the queue survives a reload of its tab', () => {
  const { tab } = device();
  const memory = tab();
  agree(memory);
  memory.keep([{ key: 'k', text: 'waiting' }]);

  const taken = [];
  tab(memory.session_).adopt((posts) => taken.push(...posts));
  assert.deepEqual(taken, [{ key: 'k', text: 'waiting' }]);
});

test('the queue of a tab that is gone is taken over by another one, and that of a living tab is not', async () => {
  const { local, tab, locks: held } = device();
  const one = tab();
  agree(one);
  one.outlive(true);
  one.keep([{ key: 'k', text: 'waiting' }]);

  const other = tab();
  const taken = [];
  other.adopt((posts) => taken.push(...posts));
  await settled();
  assert.deepEqual(taken, []);

  held.held.clear(); // the tab is gone, and its lock with it
  other.adopt((posts) => taken.push(...posts));
  await settled();
  assert.deepEqual(taken, [{ key: 'k', text: 'waiting' }]);
  assert.deepEqual(Object.keys(local).filter((name) => name.includes('queue')), []);
});

test('forgetting leaves no trace of this site, and everything of others', () => {
  const { local, tab } = device();
  local['onethread:here:demo2:visit'] = '{}';
  local.theirs = 'x';
  const memory = tab();
  agree(memory);
  memory.outlive(true);
  memory.note({ draft: 'words' });
  memory.keep([{ key: 'k', text: 'words' }]);
  memory.forget();
  assert.deepEqual(Object.keys(local).sort(), ['onethread:here:demo2:visit', 'theirs']);
  assert.deepEqual(Object.keys(memory.session_), []);
  assert.equal(memory.agreed, false);
});

test('another tab hears that this device forgets, and that it is no longer to remember', () => {
  const { tab } = device();
  const one = tab();
  agree(one);
  one.outlive(true);
  const other = tab();
  const place = 'onethread:here:demo:visit';
  assert.equal(Boolean(other.elsewhere({ key: place, newValue: '0' })), true);
  assert.equal(Boolean(other.elsewhere({ key: place, newValue: null })), false);
  assert.equal(other.remember, false);
  assert.equal(tab(other.session_).visit.visitor, 'secret');
});

test('a browser that forbids storage gets a conversation for the life of the page', () => {
  const blocked = () => {
    throw new Error('SecurityError');
  };
  const memory = memoryOf('x:', { session: blocked, local: blocked, locks: undefined, id: '1' });
  agree(memory);
  memory.outlive(true);
  memory.keep([{ key: 'k' }]);
  memory.adopt(() => assert.fail('there is nothing'));
  assert.equal(memory.visit.visitor, 'secret');
  memory.forget();
});

test('what is broken in the storage is as good as nothing', () => {
  const { tab } = device();
  const session = new Storage();
  session.setItem('onethread:here:demo:visit', '{broken');
  assert.equal(tab(session).agreed, false);
});
