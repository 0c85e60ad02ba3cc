import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { link, linked } from '../../widget/src/dom.js';
import { direction, learn, speech } from '../../widget/src/strings.js';
import { parse, readableOn, textOn } from '../../widget/src/theme.js';
import { times } from '../../widget/src/times.js';

const here = (path) => new URL(`../../widget/${path}`, import.meta.url);
/** Strings as they are, links as `[address|words]`. */
const shown = (text, phones) => linked(text, phones).map((piece) => (piece.tag ? `[${piece.props.href}|${piece.children}]` : piece)).join('');

const ADDRESSES = [
  ['See https://a.example/b?c=1#d.', 'See [https://a.example/b?c=1#d|https://a.example/b?c=1#d].'],
  ['(www.a.example), please!', '([https://www.a.example|www.a.example]), please!'],
  ['Write to anna.k+x@praxis.example!', 'Write to [mailto:anna.k+x@praxis.example|anna.k+x@praxis.example]!'],
  ['tel:+4930555010', '[tel:+4930555010|tel:+4930555010]'],
  ['javascript:alert(1)', 'javascript:alert(1)'],
  ['data:text/html,<b>x', 'data:text/html,<b>x'],
  ['<a href="https://a.example">x</a>', '<a href="[https://a.example|https://a.example]">x</a>'],
  ['My number is 0171 234 56 78', 'My number is 0171 234 56 78'],
  ['12.11.2026, 08:00', '12.11.2026, 08:00'],
  ['', ''],
];
for (const [text, expected] of ADDRESSES) test(`"${text}" is shown as "${expected}"`, () => assert.equal(shown(text), expected));

test('where it says whom to call, a row of digits is a number to call', () => {
  assert.equal(shown('Call 112 or 116 117 now', true), 'Call [tel:112|112] or [tel:116117|116 117] now');
});

for (const address of ['javascript:alert(1)', ' javascript:alert(1)', 'JAVASCRIPT:x', 'data:text/html,x', 'vbscript:x', 'file:///etc', '/relative', '', 'blob:x']) {
  test(`"${address}" is no address to follow`, () => assert.equal(link(address, 'words'), 'words'));
}

test('a link tells the page behind it nothing', () => {
  const { props } = link('https://a.example', 'x');
  assert.equal(props.rel, 'noopener noreferrer');
});

/** Relative luminance and contrast, word for word from WCAG 2.2, as the measure for ours. */
const luminance = (colour) => {
  const [r, g, b] = colour.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};

test('on every brand colour the text has a contrast of at least 4.5 to 1', () => {
  for (let r = 0; r < 256; r += 5) {
    for (let g = 0; g < 256; g += 5) {
      for (let b = 0; b < 256; b += 5) {
        const ratio = contrast([r, g, b], textOn([r, g, b]));
        assert.ok(ratio >= 4.5, `${[r, g, b]}: ${ratio}`);
      }
    }
  }
});

test('a brand colour is written with on light and dark only where it can be read', () => {
  for (const surface of [[255, 255, 255], [23, 32, 30]]) {
    for (let n = 0; n < 4096; n++) {
      const brand = [(n >> 8) * 17, ((n >> 4) & 15) * 17, (n & 15) * 17];
      assert.ok(contrast(surface, readableOn(surface, brand)) >= 4.45, `${brand} on ${surface}`);
    }
  }
});

test('colours are read as browsers compute them', () => {
  assert.deepEqual(parse('rgb(11, 107, 99)'), [11, 107, 99]);
  assert.deepEqual(parse('rgba(11, 107, 99, 0.5)'), [11, 107, 99]);
  assert.deepEqual(parse('color(srgb 0 0.5 1)'), [0, 127.5, 255]);
  assert.deepEqual(parse('color(srgb 1e-7 0 0)').map(Math.round), [0, 0, 0]);
});

/** Every sentence that the sources say. */
function sentences() {
  const sources = readdirSync(here('src')).filter((name) => name.endsWith('.js')).map((name) => readFileSync(here(`src/${name}`), 'utf8')).join('\n');
  const said = [...sources.matchAll(/\bt\(\s*'([^']+)'/g), ...sources.matchAll(/\? t\('[^']+'\) : t\('([^']+)'\)/g)].map(([, one]) => one);
  for (const table of ['HAPPENED', 'REFUSED', 'UNTAKEN', 'UNCALLED', 'WHOM']) {
    const [, body] = sources.match(new RegExp(`const ${table} = \\{([^}]*(?:\\{name\\}[^}]*)*)\\};`));
    said.push(...[...body.matchAll(/: '([^']+)'/g)].map(([, one]) => one));
  }
  said.push(sources.match(/const FAILED = '([^']+)'/)[1]);
  said.push('Not sent', 'Sending', 'Waiting', 'Sent', 'Read');
  return [...new Set(said)].sort();
}

for (const language of ['de', 'sv']) {
  const words = JSON.parse(readFileSync(here(`src/strings/${language}.json`), 'utf8'));

  test(`${language} has words for everything that is said, and for nothing else`, () => {
    assert.deepEqual(Object.keys(words).sort(), sentences());
  });

  test(`${language} keeps every place where something is put in`, () => {
    const places = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [english, other] of Object.entries(words)) assert.deepEqual(places(other), places(english), english);
  });
}

test('a language that cannot be had is spoken in English, one that can is learnt once', async (t) => {
  const asked = [];
  const { fetch } = globalThis;
  t.after(() => (globalThis.fetch = fetch));
  globalThis.fetch = async (address) => {
    asked.push(address);
    if (address.includes('fr')) throw new TypeError('network');
    return { json: async () => ({ Send: 'Senden' }) };
  };
  await learn('https://there', 'fr-CA');
  assert.equal(speech('fr')('Send'), 'Send');
  await learn('https://there', 'de-AT');
  await learn('https://there', 'de');
  assert.equal(speech('de-AT')('Send'), 'Senden');
  assert.equal(speech('de')('Discard'), 'Discard');
  assert.deepEqual(asked, ['https://there/widget/v1/strings/fr.json', 'https://there/widget/v1/strings/de.json']);
  await learn('https://there', 'en-GB');
  assert.equal(asked.length, 2);
});

test('names are put in, whatever they contain', () => {
  assert.equal(speech('en')('{name} has joined.', { name: '$& {name}' }), '$& {name} has joined.');
});

test('some languages are written from right to left', () => {
  assert.deepEqual(['ar', 'he-IL', 'fa', 'de', 'sv', 'ha'].map(direction), ['rtl', 'rtl', 'rtl', 'ltr', 'ltr', 'ltr']);
});

test('times are written as people of the language write them', () => {
  const noon = '2026-11-22T11:00:00.000Z';
  assert.match(times('de').opening(noon, 'Europe/Berlin'), /^So\.?,? 12:00$/);
  const now = Date.parse(noon);
  const day = (back) => times('en').day(new Date(now - back * 86_400_000).toISOString(), now);
  assert.deepEqual([day(0), day(1)], ['today', 'yesterday']);
  assert.match(day(9), /13/);
});

test('a language counts its hours in one way, be it to 12 or to 24', () => {
  const five = '2026-11-23T17:00:00.000Z';
  const all = (language) => {
    const said = times(language);
    const texts = [said.hours({ days: [1, 2, 5], opens: '08:00', closes: '18:00' }), said.opening(five, 'UTC'), said.time(five)];
    return texts.map((text) => text.replace(/\p{Zs}/gu, ' '));
  };
  const [hours, opening] = all('en-US');
  assert.deepEqual([hours, opening], ['Mon, Tue, Fri 8:00 AM–6:00 PM', 'Mon 5:00 PM']);
  for (const language of ['en-US', 'en']) assert.ok(all(language).every((text) => /[AP]M$/.test(text)), language);
  for (const language of ['en-GB', 'de', 'sv']) assert.ok(all(language).every((text) => !/[ap]m/i.test(text)), language);
  assert.equal(all('en-GB')[0], 'Mon, Tue, Fri 08:00–18:00');
});
