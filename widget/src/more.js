/**
 * What a conversation can do without at first: files, going on in WhatsApp, the settings, and what happened to a message
 * after it was said. A file of its own, loaded when the chat is opened; without it people still write and read.
 *
 * `img-src` and `media-src` are the page's: pictures are fetched and drawn on a canvas, short sound is fetched and played
 * as a voice note without an element of its own, and everything else is a download.
 */
import { calling } from './calling.js';
import { chime } from './chime.js';
import { byPerson } from './conversation.js';
import { h, icon, link } from './dom.js';
import { refusal } from './door.js';
import { proving } from './identity.js';
import styles from './more.css';
import { contrast, parse } from './theme.js';
import { owning } from './own.js';
import { uuid } from './world.js';

const LARGEST = 10 * 1024 * 1024; // bytes of a file, as the server has it
const MOST = 10; // files of one message
const LONGEST = 120; // characters of a file's name
const SIDE = 480; // px of a preview's longer side, twice what it is shown at
const QUIET = 4; // modules: the margin a QR code must have
const MODULE = 3; // px
const CLIP = 'M20 11.5 12.3 19a5 5 0 0 1-7.1-7.1l8-7.6a3.3 3.3 0 0 1 4.7 4.7l-7.8 7.4a1.6 1.6 0 0 1-2.3-2.3l7.2-6.9';
const TAKES = 'image/jpeg,image/png,image/webp,image/gif,application/pdf,audio/*,video/mp4';
const READABLE = 4.5; // the contrast that WCAG wants of text
const HEARD = 1024 * 1024; // bytes: some minutes, which take a hundred times that while they are played
const PLAY = 'M8 5v14l11-7z';
const HUSH = 'M7 7h10v10H7z';
/** Whom somebody may write about, by what the server calls them. */
const WHOM = { '': 'me', child: 'my child', parent: 'my father or mother', other: 'somebody else' };
const FAILED = 'This did not work. Please try again in a moment.';
/** What is said when a number was not taken, by the server's code. */
const UNTAKEN = {
  number_not_valid: 'Please check this number. With its country code it looks like this: +49 151 23456789.',
  already_known: 'You are known by WhatsApp already.',
  rate_limited: 'Those were many numbers for one day. Please try again tomorrow.',
};
const REFUSED = {
  file_type_not_allowed: 'This kind of file is not taken.',
  too_large: 'At most 10 MB, please.',
  storage_full: 'There is no room for further files at the moment.',
};

/**
 * @param {string} build of the first file: of another one, nothing here fits
 * @param {ShadowRoot} root where everything is drawn
 * @param {ReturnType<import('./conversation.js').converse>} talk
 * @param {() => void} changed something is to be drawn
 */
export default function more(build, root, talk, changed) {
  if (build !== BUILD) return undefined;
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  let pictures = new Map(); // by the id of a file: a bitmap, or whether one is coming
  let chosen = []; // `{key, name, part, id?, trouble?}`: files that wait to be sent
  let going; // the answer to "continue on WhatsApp", or what went wrong
  let trouble; // what went wrong with a download
  let naming; // `{typed, key?, why?, done?}`: the form in which a number is named
  let speaker; // one for all sound; browsers give few
  let sound; // `{id, source?}`: what is being played, or about to be
  const mute = {}; // by their ids: sound that this browser cannot play

  const phone = calling(ask, changed, focus);
  const own = owning(talk, changed, focus);
  const prove = proving(talk, root.host, changed);
  let checked; // the page's colours
  let page; // what is true of it, once its settings were opened
  const fetched = new WeakMap(); // entries for which another conversation was asked for

  const { drop, queue } = talk;
  const { add } = queue;
  /** What is said from now on is about somebody else, as long as that is chosen. */
  queue.add = (words) => add(whom() ? { ...words, about: whom() } : words);
  /** What the page knows of a conversation goes from here as well: whoever sits here next may be somebody else. */
  talk.drop = () => {
    talk.proof?.no(refusal('logged_out'));
    for (const { stop } of chosen) stop?.();
    chosen = [];
    going = trouble = naming = undefined;
    phone.close();
    own.close();
    if (page) page.tuning = false;
    hush();
    pictures = new Map();
    drop();
  };

  return {
    ring: chime,
    tuner(about, t, is, tick, remember) {
      page = is;
      return [tuner(about, t, is, tick, remember), own.box(t, is.forget)];
    },
    tools,
    below,

    /** The button that opens the device's own choice of files. */
    clip(t, round) {
      const name = t('Attach a file');
      const change = ({ target }) => {
        for (const file of target.files) bring(file);
        target.value = ''; // the same file may be chosen again
      };
      const input = h('input', { id: 'files', type: 'file', accept: TAKES, multiple: true, hidden: true, 'aria-label': name, tabindex: -1, change });
      return [input, round(name, CLIP, () => root.getElementById('files').click())];
    },

    /** The ids of the files that are to be sent now; they wait no longer. */
    take() {
      const ready = chosen.filter(({ id }) => id).map(({ id }) => id);
      chosen = chosen.filter(({ id, trouble: why }) => !id && !why);
      return ready[0] && ready;
    },

    /** Whether there are files to be sent. */
    full: () => chosen.some(({ id }) => id),

    /** A message as it is by now: edited, taken back, its files come. */
    seen(entry, t) {
      if (!entry.seq || entry.kind !== 'posted') return entry;
      const now = { ...entry };
      for (const { kind, text, file } of about(entry)) {
        if (kind === 'edited') Object.assign(now, { text, reworded: true });
        if (kind === 'file') now.files = now.files?.map((one) => (one.id === file.id ? file : one));
        if (kind === 'revoked') Object.assign(now, { text: t('This message was taken back.'), files: [], links: [], choices: [] });
      }
      return now;
    },

    /** The page is up to date: paint what is new on it. */
    drawn() {
      prove();
      if (!checked) check();
      for (const entry of talk.entries) if (entry.kind === 'joined' && !fetched.has(entry)) bringIn(entry);
      for (const [id, picture] of pictures) {
        if (picture.width) paint(`picture-${id}`, (to, canvas) => to.drawImage(picture, 0, 0, canvas.width, canvas.height));
      }
      if (going?.qr) paint('qr', square);
    },
  };

  /** What was said in another conversation, before it was put together with this one, is shown where that happened. */
  async function bringIn(entry) {
    fetched.set(entry, true); // not a set: `add` is one of our own names
    const { other, upto } = entry;
    try {
      const [base, pass] = talk.reach();
      const answer = await fetch(`${base}/../${other}/events?before=${upto + 1}`, { headers: { Authorization: `Bearer ${pass}` } });
      const { events } = await answer.json();
      const said = events.filter(({ kind }) => kind === 'posted').map((one) => from(other, one));
      const place = talk.entries.indexOf(entry);
      if (place >= 0) talk.entries.splice(place, 0, ...said);
      changed();
    } catch {
      // away, or parted again: a reload asks once more
    }
  }

  /** A message of another conversation: its number means nothing here, and nothing can be done with it any more. */
  function from(other, { at, kind, who, lang, text, files = [], channel, urgent, seq }) {
    const words = text || files.map(({ name }) => name).join(', ');
    return { key: `${other}:${seq}`, at, kind, who, lang, channel, urgent, state: '', text: words };
  }

  /** Tell whoever chose the colours when text cannot be read in them; the brand's are seen to. */
  function check() {
    checked = true;
    const { color, columnRuleColor: surface } = getComputedStyle(root.firstChild);
    const reached = contrast(parse(color), parse(surface));
    if (reached < READABLE) console.warn(`onethread-chat: --ink on --surface has a contrast of ${reached.toFixed(1)}, and text needs ${READABLE}.`);
  }

  // files ----------------------------------------------------------------------------------------------------------------

  function bring(file) {
    if (chosen.length >= MOST) return;
    const one = { key: uuid(), name: file.name, part: 0 };
    chosen.push(one);
    changed();
    if (file.size > LARGEST) return void (one.trouble = REFUSED.too_large);
    const [base, pass] = talk.reach();
    const request = new XMLHttpRequest(); // `fetch` cannot say how far it is
    request.open('POST', `${base}/files`);
    request.setRequestHeader('Authorization', `Bearer ${pass}`);
    request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    request.setRequestHeader('X-File-Name', encodeURIComponent([...file.name].slice(-LONGEST).join('').replace(/[\ud800-\udfff]/gu, '')));
    request.upload.onprogress = ({ loaded, total }) => {
      one.part = loaded / total;
      changed();
    };
    request.onloadend = () => {
      const said = parsed(request.responseText);
      if (request.status === 201) keep(one, said.file.id, file);
      else one.trouble = REFUSED[said.code] ?? FAILED;
      changed();
    };
    one.stop = () => request.abort();
    request.send(file);
  }

  function keep(one, id, file) {
    one.id = id;
    if (file.type.startsWith('image/')) picture(id, Promise.resolve(file));
  }

  function picture(id, coming) {
    if (pictures.has(id)) return;
    pictures.set(id, true);
    coming
      .then(createImageBitmap)
      .then((bitmap) => pictures.set(id, bitmap))
      .catch(() => pictures.set(id, false)) // a kind that this browser cannot draw: it stays a download
      .then(changed);
  }

  async function bytes({ id }) {
    const [base, pass] = talk.reach();
    const answer = await fetch(`${base}/files/${id}`, { headers: { Authorization: `Bearer ${pass}` } });
    if (!answer.ok) throw new Error(answer.status);
    return answer.blob();
  }

  async function save(file) {
    trouble = undefined;
    try {
      const url = URL.createObjectURL(await bytes(file));
      Object.assign(document.createElement('a'), { href: url, download: file.name || file.id }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser is done with it by then
    } catch {
      trouble = file.id;
    }
    changed();
  }

  function shownFile(file, t) {
    const { id, name, size = 0 } = file;
    const label = name || (file.voice ? t('Voice message') : t('File'));
    const status = file['state'] ?? 'ready'; // as the server calls it
    if (status !== 'ready') return h('p.mark', { key: id }, `${label}: ${status === 'failed' ? t('This file could not be fetched.') : t('The file is on its way.')}`);
    if (/^image\/(jpeg|png|webp|gif)$/.test(file.type) && !pictures.has(id)) picture(id, bytes(file));
    return [
      player(file, label, t),
      h(
        'button.file',
        { key: id, 'aria-label': t('Save {name}', { name: label }), click: () => save(file) },
        canvas(id, label),
        h('span', { dir: 'auto' }, label),
        size > 0 && h('small', {}, weight(size)),
      ),
      trouble === id && h('p.bad', { key: `bad-${id}`, role: 'status' }, t(FAILED)),
    ];
  }

  /** A voice note; what is long or cannot be played is saved instead. */
  function player(file, label, t) {
    if (!/^audio/.test(file.type) || file.size > HEARD) return undefined;
    if (mute[file.id]) return h('p.mark', { key: `mute-${file.id}`, role: 'status' }, t('This cannot be played here. Please save it.'));
    const plays = sound?.id === file.id;
    const name = plays ? t('Stop {name}', { name: label }) : t('Play {name}', { name: label });
    return h('button.round', { key: `play-${file.id}`, title: name, 'aria-label': name, click: () => (plays ? hush() : play(file)) }, icon(plays ? HUSH : PLAY));
  }

  async function play(file) {
    hush();
    const mine = (sound = { id: file.id });
    changed();
    try {
      speaker ??= new AudioContext();
      speaker.resume().catch(() => {});
      const buffer = await speaker.decodeAudioData(await (await bytes(file)).arrayBuffer());
      if (sound !== mine) return;
      mine.source = Object.assign(speaker.createBufferSource(), { buffer, onended: () => sound === mine && hush() });
      mine.source.connect(speaker.destination);
      mine.source.start();
    } catch {
      if (sound === mine) sound = undefined;
      mute[file.id] = true;
      changed();
    }
  }

  function hush() {
    if (!sound) return;
    const { source } = sound;
    sound = undefined;
    source?.stop();
    changed();
  }

  function canvas(id, label) {
    const bitmap = pictures.get(id);
    if (!bitmap?.width) return undefined;
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    return h('canvas', { key: `picture-${id}`, id: `picture-${id}`, width, height, role: 'img', 'aria-label': label });
  }

  // what belongs to a message --------------------------------------------------------------------------------------------

  function about({ seq }) {
    return talk.entries.filter(({ of }) => of === seq);
  }

  /** Under a bubble: its files, reactions, and by which door it came. */
  function below(entry, t) {
    const { files = [], channel, reworded } = entry;
    const reactions = {};
    for (const { kind, who, emoji } of entry.seq ? about(entry) : []) if (kind === 'reacted') reactions[who.role] = emoji;
    const faces = Object.values(reactions).join(' ');
    const marks = [channel === 'whatsapp' && 'WhatsApp', channel === 'voice' && t('Phone'), reworded && t('edited')].filter(Boolean);
    return [
      files[0] && h('div.files', {}, files.map((file) => shownFile(file, t))),
      faces && h('p.faces', {}, h('span.vh', {}, `${t('Reaction')}: `), faces),
      marks[0] && h('p.mark', {}, marks.join(' · ')),
    ];
  }

  // above the text -------------------------------------------------------------------------------------------------------

  function tools(t, press) {
    const has = (channel) => talk.clinic?.channels?.includes(channel);
    const there = has('whatsapp');
    const said = talk.entries.some((entry) => entry.kind === 'posted' && byPerson(entry));
    const known = talk.entries.some(({ channel }) => channel === 'whatsapp'); // they have come from there
    const silent = talk.line.state === 'live' && !talk.entries[0] && !talk.queue.posts[0];
    if (going?.path === 'show' && talk.entries[0]) going = undefined; // it is shown by now
    return [
      going && over(t, press),
      naming && form(t, press),
      phone.box(t, press),
      !(going || naming || phone.open()) &&
        ((there && (said || silent)) || (has('voice') && said)) &&
        h(
          'div.plain.ways',
          { key: 'ways' },
          there && said && press('', titleOf('continue', t), () => goOn('continue'), { id: 'continue' }),
          there && said && !known && talk.clinic.know_me && press('', t('Know me next time'), name, { id: 'know' }),
          has('voice') && said && phone.buttons(t, press),
          there && silent && press('', titleOf('show', t), () => goOn('show'), { id: 'show' }),
        ),
      whom() && h('div.plain.ways', { key: 'whom' }, h('span', {}, `${t('You write about:')} ${t(WHOM[whom()])}`), press('', t('About me again'), () => speakOf(''))),
      chosen[0] && h('div.files', { key: 'chosen' }, chosen.map((one) => waiting(one, t))),
    ];
  }

  function whom() {
    return talk.memory.tab.about;
  }

  function speakOf(one) {
    talk.memory.note({ about: one });
    changed();
    focus('write');
  }

  function waiting(one, t) {
    const { key, name, part, id, trouble: why } = one;
    return h(
      'div.file',
      { key },
      id && canvas(id, name),
      h('span', { dir: 'auto' }, name),
      why && h('span.bad', { role: 'status' }, t(why)),
      !why && !id && h('progress', { value: part, max: 1, 'aria-label': t('Sending {name}', { name }) }),
      h('button', { key: 'x', 'aria-label': t('Remove {name}', { name }), click: () => remove(one) }, '×'),
    );
  }

  function remove(one) {
    chosen = chosen.filter((other) => other !== one);
    one.stop?.();
    changed();
    root.getElementById('write')?.focus();
  }

  // going on elsewhere ---------------------------------------------------------------------------------------------------

  /** Ask the server for `path` of this conversation. */
  async function ask(path, content) {
    try {
      const [base, pass] = talk.reach();
      const headers = { Authorization: `Bearer ${pass}`, 'Content-Type': 'application/json' };
      const answer = await fetch(`${base}/${path}`, { method: 'POST', headers, body: JSON.stringify(content) });
      const said = parsed(await answer.text());
      return answer.ok ? said : { why: said.code || answer.status };
    } catch {
      return { why: 'away' };
    }
  }

  /** `continue` here, or `show` here what was said there. */
  async function goOn(path) {
    const asked = (going = { path });
    changed();
    const said = await ask(path, path === 'show' ? { consent: talk.memory.visit.consent } : undefined);
    if (going !== asked) return; // it is of no use any more, or not this person's
    going = { path, ...said };
    changed();
    focus('over');
  }

  function over(t, press) {
    const { path, url, qr, why } = going;
    const back = () => {
      going = undefined;
      changed();
      focus(path);
    };
    return h(
      'div.box.over',
      { key: 'over', id: 'over', tabindex: -1, role: 'group', 'aria-label': titleOf(path, t) },
      why && h('p.bad', { role: 'status' }, t(FAILED)),
      h(
        'div.how',
        {},
        url && [
          h(
            'p',
            {},
            path === 'show' ?
              t('A message is ready for you there. Send it and answer yes, and our conversation is shown here. It is good once, for half an hour.')
            : t('A message is ready for you there. Send it, and we go on where we are now. It is good once, for half an hour.'),
          ),
          link(url, t('Open WhatsApp'), 'a.chip'),
          h('p.scan', {}, t('Or scan this with your phone.')),
        ],
        press('', t('Stay here'), back),
      ),
      url && h('canvas.qr', { id: 'qr', role: 'img', 'aria-label': t('QR code that opens WhatsApp'), width: edge(qr), height: edge(qr) }),
    );
  }

  function focus(id) {
    queueMicrotask(() => root.getElementById(id)?.focus());
  }

  // being known next time ------------------------------------------------------------------------------------------------

  function name() {
    naming = { typed: '' };
    changed();
    focus('number');
  }

  async function send() {
    const mine = naming;
    if (mine.busy || !mine.typed.trim()) return focus('number');
    mine.busy = true;
    mine.key ??= uuid(); // the same number again is the same request
    changed();
    const { why, number } = await ask('number', { key: mine.key, number: mine.typed.trim() });
    if (naming !== mine) return;
    Object.assign(mine, { busy: false, why, done: number });
    changed();
    focus(why ? 'number' : 'known');
  }

  function form(t, press) {
    const { typed, why, done, busy } = naming;
    const back = () => {
      naming = undefined;
      changed();
      focus('know');
    };
    if (done) {
      return h(
        'div.box.over',
        { key: 'known', id: 'known', tabindex: -1, role: 'group', 'aria-label': t('Know me next time') },
        h('p', { role: 'status' }, t('If {number} is on WhatsApp, we ask there now whether it was you. Answer yes there, and we know you next time.', { number: done })),
        press('', t('Done'), back),
      );
    }
    return h(
      'div.box.over',
      { key: 'naming', role: 'group', 'aria-label': t('Know me next time') },
      h(
        'label.how',
        {},
        t('Your number on WhatsApp'),
        h('input.number', {
          id: 'number',
          type: 'tel',
          autocomplete: 'tel',
          maxlength: 64,
          dir: 'ltr',
          value: typed,
          'aria-describedby': 'number-why number-how',
          'aria-invalid': `${!!why}`,
          input: ({ target }) => {
            Object.assign(naming, { typed: target.value, key: undefined, why: undefined });
            changed();
          },
          keydown: (event) => {
            if (event.key === 'Enter' && !event.isComposing) send();
          },
        }),
      ),
      h('p.bad', { id: 'number-why', role: 'status' }, why && t(UNTAKEN[why] ?? FAILED)),
      h('p', { id: 'number-how' }, t('By asking us you agree to one message to this number, which asks whether it was you. Nothing of this conversation is in it.')),
      press('.chip', t('Ask me there'), send, { 'aria-disabled': `${!!busy || !typed.trim()}` }),
      press('', t('Stay here'), back),
    );
  }

  /** Dark on white whatever the theme: phones read nothing else for certain. */
  function square(to) {
    const { qr } = going;
    to.fillStyle = '#fff';
    to.fillRect(0, 0, edge(qr), edge(qr));
    to.fillStyle = '#000';
    qr.forEach((row, y) => [...row].forEach((dark, x) => +dark && to.fillRect((x + QUIET) * MODULE, (y + QUIET) * MODULE, MODULE, MODULE)));
  }

  function paint(id, how) {
    const node = root.getElementById(id);
    if (!node || node.painted === how.name + going?.code) return;
    node.painted = how.name + going?.code;
    how(node.getContext('2d'), node);
  }
}

/** What leads to WhatsApp, or from there to here, by what the server calls it. */
const titleOf = (path, t) => (path === 'show' ? t('Show my WhatsApp conversation') : t('Continue on WhatsApp'));

/** The small form behind "Settings". */
function tuner(talk, t, is, tick, remember) {
  return h(
    'div.box',
    { key: 'tuning' },
    h(
      'label',
      {},
      t('Language'),
      h(
        'select',
        { change: ({ target }) => talk.speak(target.value) },
        (talk.clinic?.languages ?? []).map((tag) =>
          h('option', { key: tag, value: tag, lang: tag, selected: tag === talk.language }, new Intl.DisplayNames(tag, { type: 'language' }).of(tag)),
        ),
      ),
    ),
    h(
      'label',
      { key: 'about' },
      t('I write about'),
      h(
        'select',
        {
          change: ({ target }) => {
            talk.memory.note({ about: target.value });
            is.show('tuning', true);
          },
        },
        Object.keys(WHOM).map((one) => h('option', { key: one, value: one, selected: one === (talk.memory.tab.about ?? '') }, t(WHOM[one]))),
      ),
    ),
    tick(t('Sound'), talk.memory.visit.sound, is.sound),
    remember,
  );
}

const edge = (qr) => (qr.length + 2 * QUIET) * MODULE;

const weight = (size) => (size < 100_000 ? `${Math.ceil(size / 1_000)} kB` : `${(size / 1_000_000).toFixed(1)} MB`);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
