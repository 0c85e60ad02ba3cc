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
  return {
    async request(name, options, then) {
      if (held.has(name)) return options.ifAvailable ? then(null) : new Promise(() => {});
      held.add(name);
      try {
        return await then({ name });
      } finally {
        held.delete(name);
      }
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
