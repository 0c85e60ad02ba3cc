import assert from 'node:assert/strict';
import { test } from 'node:test';

const element = () => ({
  dataset: {},
  classList: { toggle() {} },
  hidden: true,
  value: '',
  textContent: '',
  replaceChildren() {},
  prepend() {},
  querySelector: () => true,
  focus() {},
});
const none = ['files', 'on', 'quoting', 'whisper'];
const parts = {};
globalThis.localStorage = { getItem: () => null };
globalThis.document = {
  getElementById: (id) => (none.includes(id) ? null : (parts[id] ??= element())),
  querySelector: element,
  querySelectorAll: () => [],
  body: { dataset: { words: '{}', limit: '4096' } },
};
const composer = await import('../../server/web/script/composer.js');

test('the way that was chosen for one person is not taken for another, who can be met in one way alone', () => {
  const said = [];
  composer.compose({ add: (frame) => said.push(frame), typing() {}, newest: () => 1, waiting: () => undefined });
  parts.pending = { ...element(), firstChild: element(), children: [0, element(), element()] };
  const reply = () => {
    parts.reply.value = 'Hello';
    composer.send();
    composer.fire();
  };
  const open = (thread, usual, select) => {
    parts.work.dataset.thread = thread;
    parts.way.dataset.usual = usual;
    if (select) none.splice(none.indexOf('on'), 1);
    else none.push('on');
    composer.way();
  };
  [parts.work, parts.way, parts.note, parts.reply, parts.guard] = [1, 2, 3, 4, 5].map(() => ({ ...element(), firstElementChild: element() }));

  open('t1', 'web', true);
  parts.on = { ...element(), value: 'whatsapp', options: [{ value: 'whatsapp', dataset: {} }] };
  composer.way(true);
  reply();
  open('t2', 'web', false);
  reply();

  assert.deepEqual(said.map(({ thread, on }) => [thread, on]), [['t1', 'whatsapp'], ['t2', undefined]]);
});
