import assert from 'node:assert/strict';
import { register } from 'node:module';
import { test } from 'node:test';

const styles = `export const load = (url, context, next) =>
  url.endsWith('.css') ? { format: 'module', source: 'export default ""', shortCircuit: true } : next(url, context);`;
register(`data:text/javascript,${encodeURIComponent(styles)}`);
globalThis.BUILD = 'b';
globalThis.CSSStyleSheet = class {
  replaceSync() {}
};
globalThis.XMLHttpRequest = class {
  upload = {};
  status = 201;
  responseText = '{"file": {"id": "letter"}}';
  open() {}
  setRequestHeader() {}
  abort() {}
  send() {
    this.onloadend();
  }
};
const { default: more } = await import('../../widget/src/more.js');

/** The second file of a widget on whose page somebody has said something. */
function page() {
  const said = { kind: 'posted', seq: 1, who: { role: 'person' } };
  const talk = { entries: [said], queue: { posts: [], add() {} }, memory: { tab: {} }, clinic: { channels: ['whatsapp'] }, line: { state: 'live' }, reach: () => ['/there', 'pass'], drop: () => talk.dropped = true };
  const root = { adoptedStyleSheets: [], getElementById: () => null };
  const extra = more('b', root, talk, () => {});
  const press = (kind, name, click) => ({ name, click });
  return { talk, extra, tools: () => extra.tools((text) => text, press) };
}

const part = (tools, key) => tools.find((one) => one?.key === key);
const whatsapp = (tools) => part(tools, 'ways').children[0].click();
const answer = { ok: true, text: async () => '{"url": "https://wa.me/1", "qr": ["1"], "code": "B2CD-F3GH"}' };

test('files that wait and a code that was asked for go with the conversation, for whoever sits there next', async () => {
  globalThis.fetch = async () => answer;
  const { talk, extra, tools } = page();
  const [input] = extra.clip((text) => text, () => {});
  input.props.change({ target: { files: [{ name: 'letter.pdf', type: 'application/pdf', size: 9 }] } });
  await whatsapp(tools());
  assert.ok(extra.full() && part(tools(), 'over') && part(tools(), 'chosen'));

  talk.drop();

  assert.ok(talk.dropped);
  assert.deepEqual([extra.full(), part(tools(), 'over'), part(tools(), 'chosen')], [false, undefined, undefined]);
});

test('a code that comes after its conversation was forgotten is not shown', async () => {
  let come;
  globalThis.fetch = () => new Promise((resolve) => (come = resolve));
  const { talk, tools } = page();
  const asked = whatsapp(tools());

  talk.drop();
  come(answer);
  await asked;

  assert.equal(tools()[0], undefined);
});
