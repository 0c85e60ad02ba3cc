import assert from 'node:assert/strict';
import { test } from 'node:test';

const element = () => ({ dataset: {}, append() {}, remove() {}, contains: () => true, focus() {}, textContent: '{}', content: '' });
const parts = {};
globalThis.localStorage = { getItem: () => null };
globalThis.document = {
  getElementById: (id) => (parts[id] ??= element()),
  querySelector: element,
  createElement: element,
  body: { dataset: { words: '{}' } },
  documentElement: element(),
};
let last;
globalThis.XMLHttpRequest = class {
  upload = {};
  status = 201;
  response = { file: { id: 'letter' } };
  open() {}
  setRequestHeader() {}
  abort() {}
  send() {
    last = this;
  }
};
const files = await import('../../server/web/script/files.js');

function open(thread) {
  parts.work.dataset.thread = thread;
  files.opened();
}

function attach() {
  files.add([{ name: 'letter.pdf', type: 'application/pdf' }]);
  last.onloadend();
  return files.take();
}

test('files of a reply that is taken back come back where it was written', () => {
  parts.work = element();
  open('t1');
  files.back(attach());

  assert.deepEqual(files.take(), ['letter']);
});

test('files of a reply that is taken back never come to another person, whose conversation is open by now', () => {
  open('t1');
  const taken = attach();
  open('t2');
  files.back(taken);

  assert.equal(files.any(), false);
});
