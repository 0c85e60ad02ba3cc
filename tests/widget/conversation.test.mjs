import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse } from '../../widget/src/conversation.js';
import { memoryOf } from '../../widget/src/memory.js';
import { live, posted, settled, welcome, World } from './world.mjs';

const CLINIC = { name: 'Riverside', assistant: 'River', languages: ['en', 'de'], consent: { version: 'v1', text: '…' } };
const PERSON = { who: { role: 'person' } };
const ANNA = { who: { role: 'staff', name: 'Anna' } };

let pages = 0;

class Storage {
  getItem(name) {
    return this[name] ?? null;
  }
  setItem(name, value) {
    this[name] = value;
  }
  removeItem(name) {
    delete this[name];
  }
}

/** A conversation with a door that remembers what it was asked. */
function talking({ session = new Storage(), visit = {}, history = [] } = {}) {
  const world = new World();
  const asked = [];
  const said = [];
  const errors = [];
  const granted = { pass: 'pass', expires_in: 900, thread: 't1', visitor: 'secret', language: 'en', clinic: CLINIC, ...visit };
  const door = {
    visit: async (wish) => (asked.push(['visit', wish]), granted),
    history: async (...question) => (asked.push(['history', ...question]), { events: history }),
    forget: async (pass) => void asked.push(['forget', pass]),
  };
  const memory = memoryOf('x:', { session: () => session, local: () => new Storage(), id: `page${++pages}` });
  const talk = converse({
    server: 'https://there', site: 'demo', memory, door, world, wish: () => 'en',
    on: { changed() {}, message: ({ seq }) => said.push(seq), error: (code) => errors.push(code) },
  });
  const sent = (kind) => world.sockets.flatMap(({ sent: frames }) => frames).filter(({ t }) => !kind || t === kind);
  return { talk, world, asked, said, errors, session, granted, sent };
}

async function begun(options) {
  const all = talking(options);
  all.talk.start();
  await settled();
  all.talk.agree();
  await settled();
  all.world.letIn();
  return all;
}

test('opening asks only who the clinic is: no line, nothing stored', async () => {
  const { talk, world, session, asked } = talking();
  talk.start();
  await settled();
  assert.equal(talk.clinic.name, 'Riverside');
  assert.equal(talk.mustAgree(), true);
  assert.equal(world.sockets.length, 0);
  assert.deepEqual(Object.keys(session), []);
  assert.deepEqual(asked, [['visit', { site: 'demo', language: 'en', visitor: undefined }]]);
});

test('every post says what was agreed to, whichever of them the server hears first', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), live(0));
  talk.say('one');
  talk.say('two');
  const [{ key }] = sent('post');
  world.say(posted(1, { key, ...PERSON }));
  talk.say('three');
  world.say(posted(2, { key: sent('post')[1].key, ...PERSON }));
  assert.deepEqual(sent('post').map(({ text, consent }) => [text, consent]), [['one', 'v1'], ['two', 'v1'], ['three', 'v1']]);
});

test('what is said offline goes out, in order, when the line stands', async () => {
  const { talk, world, sent } = await begun();
  talk.say('one');
  talk.say('two');
  world.say(welcome(), live(0));
  assert.deepEqual(sent('post').map(({ text }) => text), ['one']);
  world.say(posted(1, { key: sent('post')[0].key, ...PERSON }));
  assert.deepEqual(sent('post').map(({ text }) => text), ['one', 'two']);
});

test('history is not announced; what comes then is, and what was missed during a cut is, once', async () => {
  const { world, said } = await begun();
  world.say(welcome(), posted(1), posted(2), live(2), posted(3));
  assert.deepEqual(said, [3]);
  world.hangUp();
  await world.pass(500);
  world.letIn();
  world.say(welcome(), posted(3), posted(4), live(4));
  assert.deepEqual(said, [3, 4]);
});

test('unread is what others said since the person was last there, on any tab', async () => {
  const { talk, world } = await begun();
  world.say(welcome(), posted(1), posted(2, PERSON), posted(3), live(3));
  assert.deepEqual(talk.unread().map(({ seq }) => seq), [3]);
  world.say({ ...posted(4), kind: 'read', upto: 3, ...PERSON });
  assert.deepEqual(talk.unread(), []);
});

test('seeing is told at most once a second, with the newest', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), posted(1), live(1));
  talk.see();
  world.say(posted(2));
  talk.see();
  await world.pass(1_000);
  assert.deepEqual(sent('read'), [{ t: 'read', seq: 2 }]);
});

test('what was seen while the line was down is told when it stands again', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), posted(1), live(1));
  world.hangUp();
  talk.see();
  await world.pass(500);
  assert.deepEqual(sent('read'), []);
  world.letIn();
  world.say(welcome(), live(1));
  assert.deepEqual(sent('read'), [{ t: 'read', seq: 1 }]);
});

test('the floor follows what happened', async () => {
  const { talk, world } = await begun();
  const floors = [];
  world.say(welcome(), live(0));
  for (const event of [
    posted(1),
    posted(2, { handover: 'asked' }),
    { ...posted(3), kind: 'taken', ...ANNA },
    posted(4, ANNA),
    { ...posted(5), kind: 'released', ...ANNA },
    posted(6, ANNA),
    { ...posted(7), kind: 'closed', ...ANNA },
  ]) {
    world.say(event);
    floors.push(talk.floor);
  }
  assert.deepEqual(floors, ['assistant', 'waiting', 'staff', 'staff', 'assistant', 'staff', 'assistant']);
  assert.equal(talk.colleague, 'Anna');
});

test('typing is said at most every three seconds, and its end once', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), live(0));
  for (let n = 0; n < 5; n++) {
    talk.typing(true);
    await world.pass(1_000);
  }
  await world.pass(6_000);
  talk.typing(false);
  assert.deepEqual(sent('typing').map(({ on }) => on), [true, true, false]);
});

test('nobody is believed to be typing for ever', async () => {
  const { talk, world } = await begun();
  world.say(welcome(), live(0), { t: 'typing', thread: 't1', on: true, ...ANNA });
  assert.equal(talk.typist.name, 'Anna');
  await world.pass(6_000);
  assert.equal(talk.typist, undefined);
});

test('older messages come before the first one, and say nothing new', async () => {
  const older = [{ t: 'skip', thread: 't1', to: 3 }, posted(4), posted(5)];
  const { talk, world, said, asked } = await begun({ history: older });
  world.say(welcome(), posted(6), live(6));
  assert.equal(talk.more(), true);
  await talk.older();
  assert.deepEqual(talk.entries.map(({ seq }) => seq), [4, 5, 6]);
  assert.deepEqual(asked.at(-1), ['history', 't1', 6, 'pass']);
  assert.deepEqual(said, []);
  assert.equal(talk.more(), true);
});

test('a page without anything to show ends somewhere too', async () => {
  const { talk, world } = await begun({ history: [{ t: 'skip', thread: 't1', to: 19 }] });
  world.say(welcome(), posted(20), live(20));
  await talk.older();
  assert.equal(talk.more(), false);
});

test('after a reset the list begins again and the queue stays', async () => {
  const { talk, world } = await begun();
  world.say(welcome(), posted(1), posted(2), live(2));
  talk.say('waiting');
  world.say({ t: 'reset', thread: 't1', epoch: 'e2', seq: 1 }, posted(1), live(1));
  assert.deepEqual(talk.entries.map(({ seq }) => seq), [1]);
  assert.deepEqual(talk.queue.posts.map(({ text }) => text), ['waiting']);
});

test('a conversation that moved is followed once the old thread has answered for what may have arrived there', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), live(0));
  talk.say('in between');
  const [{ key }] = sent('post');
  world.hangUp();
  await world.pass(500);
  world.letIn();
  world.say(welcome(), { t: 'moved', thread: 't1', pass: 'pass2', expires_in: 900, to: 't2' });
  assert.equal(sent('post').length, 2); // asked of the old thread, same key
  assert.equal(world.sockets.length, 2);
  world.say({ t: 'refused', key, code: 'moved', text: '' });
  await settled();
  world.letIn();
  assert.deepEqual(world.socket.sent, [{ t: 'hello', v: 1, pass: 'pass2' }]);
  world.say(welcome({ thread: 't2' }), { ...posted(8), thread: 't2' }, { ...live(8), thread: 't2' });
  assert.equal(world.socket.sent.at(-1).key, key);
  world.say({ ...posted(9, { key, ...PERSON }), thread: 't2' });
  assert.deepEqual(talk.entries.map(({ seq }) => seq), [8, 9]);
  assert.deepEqual(talk.queue.posts, []);
});

test('a post that had arrived before the move is not said again', async () => {
  const { talk, world, sent } = await begun();
  world.say(welcome(), live(0));
  talk.say('arrived');
  const [{ key }] = sent('post');
  world.say({ t: 'moved', thread: 't1', pass: 'pass2', expires_in: 900, to: 't2' });
  world.say(posted(1, { key, ...PERSON }));
  await settled();
  world.letIn();
  world.say(welcome({ thread: 't2' }), { ...live(0), thread: 't2' });
  assert.deepEqual(world.socket.sent.map(({ t }) => t), ['hello']);
  assert.deepEqual(talk.queue.posts, []);
});

test('when the clinic has a new text the words are kept until the person agrees to it', async () => {
  const { talk, world, sent, granted } = await begun();
  world.say(welcome(), live(0));
  talk.say('first');
  const [{ key }] = sent('post');
  granted.clinic = { ...CLINIC, consent: { version: 'v2', text: '…' } };
  world.say({ t: 'refused', key, code: 'consent_needed', text: '' });
  await settled();
  assert.equal(talk.mustAgree(), true);
  talk.agree();
  assert.deepEqual([sent('post').at(-1).key, sent('post').at(-1).consent], [key, 'v2']);
});

test('forgetting tells the server and leaves nothing here', async () => {
  const { talk, world, asked, session } = await begun();
  world.say(welcome(), posted(1), live(1));
  talk.say('waiting');
  assert.equal(await talk.forget(), true);
  assert.deepEqual(asked.at(-1), ['forget', 'pass']);
  assert.deepEqual([Object.keys(session), talk.entries, talk.queue.posts, talk.mustAgree()], [[], [], [], true]);
  assert.ok(world.socket.closed);
});

test('forgetting with an expired pass gets a new one first', async () => {
  const { talk, world, asked } = await begun();
  world.say(welcome(), live(0));
  talk.rest();
  await world.pass(1_000_000);
  await talk.forget();
  assert.deepEqual(asked.slice(-2).map(([what]) => what), ['visit', 'forget']);
  assert.equal(asked.at(-2)[1].visitor, 'secret');
});

test('another thread at the next visit begins with an empty list and keeps what waits', async () => {
  const { talk, world, granted } = await begun();
  world.say(welcome(), posted(1), live(1));
  talk.say('waiting');
  granted.thread = 't9';
  world.hangUp(4001);
  await world.pass(0);
  world.letIn();
  assert.equal(world.socket.sent[0].after, undefined);
  assert.deepEqual(talk.entries, []);
  assert.equal(talk.queue.posts.length, 1);
});

test('erased means that every word is dropped', async () => {
  const { talk, world } = await begun();
  world.say(welcome(), posted(1), posted(2), live(2), { ...posted(3), kind: 'erased' });
  assert.deepEqual(talk.entries.map(({ kind }) => kind), ['erased']);
});

test('a returning person is known again after a reload, queue and all', async () => {
  const first = await begun();
  first.world.say(welcome(), live(0));
  first.world.hangUp();
  first.talk.say('waiting');

  const second = talking({ session: first.session });
  assert.equal(second.talk.mustAgree(), false);
  second.talk.start();
  await settled();
  assert.equal(second.asked[0][1].visitor, 'secret');
  second.world.letIn();
  second.world.say(welcome(), live(0));
  assert.deepEqual(second.sent('post').map(({ text }) => text), ['waiting']);
});

test('a clinic without a text to agree to needs no leave', async () => {
  const { talk, world } = talking({ visit: { clinic: { ...CLINIC, consent: null } } });
  talk.start();
  await settled();
  assert.equal(talk.mustAgree(), false);
  assert.equal(world.sockets.length, 1);
});

test('an old protocol, a forbidden page: it says so by a code', async () => {
  const { world, errors, talk } = await begun();
  world.say(welcome(), live(0));
  world.hangUp(4004);
  assert.deepEqual([errors, talk.stopped], [['outdated'], 'outdated']);
});
