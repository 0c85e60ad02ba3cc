/**
 * The console comes to life: what happens is heard on the line and drawn by the server, what a colleague does is said on it.
 *
 * Every drawing is asked for by its number: "what has happened since event 57". So the first page, what is live and what was
 * missed while the network was gone are one path, and no text of anybody becomes markup here.
 */
import * as composer from './composer.js';
import { alert, badge, heard, named, permit } from './alerts.js';
import { ask, csrf, keep, kept, me, say, words } from './kept.js';
import * as files from './files.js';
import { connectStaff, followPage, outbox, uuid } from './line.js';
import { pick } from './picker.js';

const CALM = 400; // ms: changes of the list within that time are drawn together
const AGAIN = 2_000; // ms until a drawing that failed is asked for again
const WAITING = 30_000; // ms between two looks at how long people have waited
const AWAY = 60_000; // ms without a key or a pointer: nobody sits there

const by = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const open = () => by('work').dataset.thread;
const end = () => by('end');
const shown = () => Number(end()?.value ?? 0);
const narrow = matchMedia('(max-width: 45rem)');

// the line -------------------------------------------------------------------------------------------------------------

let epoch;
let following;
let wasCut;

const line = connectStaff({
  url: `${location.origin.replace(/^http/, 'ws')}/ws/staff`,
  async enter() {
    const answer = await ask('POST', '/api/staff/ticket');
    if (answer.ok) return answer.json();
    throw { stop: [401, 403].includes(answer.status) && 'signed_out', wait: 1_000 };
  },
  on: {
    frame: hear,
    settle: (frame) => box.settle(frame),
    mistake: () => box.mistake(),
    owed: () => true,
    state(state, code) {
      document.documentElement.dataset.line = state;
      if (state === 'live') {
        marked = undefined;
        box.again();
        read();
        refreshList();
      }
      if (code === 'signed_out' || code === 'not_allowed') location.assign(`/console/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
      banner(state);
    },
  },
});

const box = outbox(line.send, (frame, answer) => {
  const told = ['post', 'note'].includes(frame.t) && composer.answered(frame, answer);
  if (answer.t === 'refused' && !told) toast(say('not_done', { text: words[`refused_${answer.code}`] ?? answer.text ?? words.refused_other }));
  composer.show();
});

const tell = (frame) => box.add({ thread: open(), ...frame });

/** Ask the server for something about this conversation that is not said on the line; under one key, however often. */
async function change(method, path, body, well) {
  const asked = () => ask(method, `/api/threads/${open()}/${path}`, body && { key: uuid(), ...body });
  const answer = await asked().catch(() => {});
  const { code, detail } = answer?.ok ? {} : ((await answer?.json().catch(() => {})) ?? {});
  toast(answer?.ok ? words[well] ?? '' : answer ? say('not_done', { text: words[`refused_${code}`] ?? detail ?? words.refused_other }) : words.cut);
  if (answer?.ok) news();
  return answer?.ok;
}

function hear(frame) {
  const { t, thread } = frame;
  const here = thread === open();
  if (t === 'welcome') {
    if (epoch && epoch !== frame.epoch) location.reload();
    epoch = frame.epoch;
  } else if (t === 'inbox') {
    for (const row of frame.rows) heard(row, me, row.thread === open());
    refreshList();
  } else if (t === 'mention') {
    if (named(frame, open())) toast(say('alert_mention', frame.who));
    badge();
  } else if (!here) return;
  else if (t === 'reset') location.reload();
  else if (t === 'live') by('work').dataset.live = frame.seq;
  else if (t === 'event') {
    if (frame.kind === 'posted' && frame.who.role === 'staff') composer.colleague(frame);
    if (frame.seq > shown()) news();
    if (frame.kind === 'read' && frame.who.role === 'person') tick((seq) => seq <= frame.upto, 'read');
    if (frame.kind === 'receipt' && !frame.part) tick((seq) => seq === frame.of, frame.status);
    if (frame.kind === 'erased' && frame.seq > shown()) location.reload(); // a page opened anew hears of it once more
    document.dispatchEvent(new CustomEvent('onethread:event', { detail: frame }));
  } else if (t === 'typing') types(frame);
  else if (t === 'presence') present(frame.staff);
}

/** The line is gone, or back. A blink is not worth a word. */
let cut;
function banner(state) {
  clearTimeout(cut);
  const put = (key, well) => {
    by('banner').hidden = !key;
    by('banner').classList.toggle('well', Boolean(well));
    by('banner').lastElementChild.hidden = Boolean(well);
    by('banner').firstElementChild.textContent = words[key] ?? '';
  };
  if (state === 'live') {
    put(wasCut && 'back_again', true);
    if (wasCut) setTimeout(() => line.state === 'live' && put(), 4_000);
    wasCut = false;
  } else if (state === 'stopped') put('stopped');
  else cut = setTimeout(() => { put('cut'); wasCut = true; composer.show(); }, 1_500);
}

// drawings -------------------------------------------------------------------------------------------------------------

/** Ask for one drawing at a time; asked again meanwhile, once more afterwards. */
function drawing(url, target, swap, calm = 0) {
  let busy;
  let more;
  return async function draw() {
    more = true;
    if (busy) return;
    busy = true;
    await new Promise((then) => setTimeout(then, calm));
    more = false;
    const where = url();
    if (where) await htmx.ajax('GET', where, { source: target, target, swap }).catch(() => {});
    busy = false;
    if (more) draw();
  };
}

const refreshList = drawing(() => by('list')?.dataset.url, '#list', 'outerHTML', CALM);
const news = drawing(() => end()?.dataset.url, '#log', 'beforeend', 20);

document.addEventListener('htmx:afterSettle', ({ detail: { target } }) => {
  const part = target.id;
  if (part === 'work' || part === 'app') opened();
  if (part === 'log') {
    read();
    composer.way();
    presence(); // the heading was drawn anew, and only we know who is there
  }
  if (part.startsWith('older')) days(by(part).parentElement);
  if (part === 'log') reveal();
  if (part === 'app') by('q').value = asked();
  if (part === 'side' && go) goTo();
  if (part !== 'log') badge();
  ago();
});
/** A day that went on over two pages is named once; a joined conversation has its own. */
function days(within) {
  const named = new Set();
  for (const each of all(':scope > .day', within)) named.has(each.dataset.date) ? each.remove() : named.add(each.dataset.date);
}
// What failed on the way is asked for again; a page that was asked for by a click says so.
document.addEventListener('htmx:sendError', ({ detail }) => later(detail));
document.addEventListener('htmx:responseError', ({ detail }) => later(detail));
const later = ({ target }) => setTimeout(() => (target?.id === 'log' ? news() : target?.id === 'list' ? refreshList() : toast(words.cut)), AGAIN);

/** A conversation is on the screen. */
function opened() {
  const thread = open();
  if (following && following !== thread) line.unwatch(following);
  following = thread;
  for (const row of all('.row')) row.id === `row-${thread}` ? row.setAttribute('aria-current', 'true') : row.removeAttribute('aria-current');
  if (!thread) return;
  by('log').setAttribute('aria-live', 'polite');
  line.watch(thread);
  composer.opened(box.frames);
  if (narrow.matches && document.activeElement === document.body) by('name').focus();
  read();
}

/** Tell the person that their words were read, if somebody really looks: a console left open overnight reads nothing. */
let sign = Date.now();
let marked;
function read() {
  const { last, read: before, person } = end()?.dataset ?? {};
  const unread = Number(person) > before || (by('head')?.dataset.floor === 'waiting' && Number(last) > before);
  const mark = `${open()} ${last}`;
  if (!open() || !unread || mark === marked || document.hidden || !document.hasFocus() || Date.now() - sign > AWAY) return;
  if (line.send({ t: 'read', thread: open(), seq: Number(last) })) marked = mark;
}

/** Somebody who reads further up stays there, and is told that there is more below. */
function reveal() {
  by('jump').hidden = by('scroll').scrollTop > -80;
}

function tick(which, status) {
  for (const each of all('[data-tick]')) {
    if (!which(Number(each.dataset.tick))) continue;
    each.className = `tick ${status}`;
    each.lastElementChild.textContent = words[`tick_${status}`];
  }
}

let colleagues = [];
let typing;
const names = (list) => (list.length > 1 ? say('and', { first: list.slice(0, -1).join(', '), last: list.at(-1) }) : list[0]);

function present(staff) {
  colleagues = staff.filter(({ id }) => id !== me);
  presence();
}

function types({ who, on }) {
  if (who.role === 'person') {
    clearTimeout(typing);
    typing = on && setTimeout(() => types({ who }), 6_000);
  } else for (const each of colleagues) if (each.id === who.id) each.typing = on;
  presence();
}

function presence() {
  const line = (key, list) => list.length && say(`${key}_${list.length > 1 ? 'many' : 'one'}`, { names: names(list) });
  const writing = colleagues.filter((each) => each.typing).map(({ name }) => name);
  if (typing) writing.unshift(by('work').dataset.name);
  const looking = colleagues.filter((each) => !each.typing).map(({ name }) => name);
  if (by('presence')) by('presence').textContent = [line('typing', writing), line('looking', looking)].filter(Boolean).join(' · ');
}

/** How long somebody has waited, in words that stay true. */
function ago() {
  for (const each of all('[data-ago]')) {
    each.ahead ??= Date.parse(each.dataset.now) - Date.now(); // of our clock: it is the server's that counts
    const minutes = Math.max(0, Math.floor((Date.now() + each.ahead - Date.parse(each.dateTime)) / 60_000));
    const [amount, unit] = minutes < 100 ? [minutes, 'minute'] : minutes < 2_880 ? [minutes / 60, 'hour'] : [minutes / 1_440, 'day'];
    const format = new Intl.NumberFormat(document.documentElement.lang, { style: 'unit', unit, maximumFractionDigits: 0 });
    each.textContent = `${each.dataset.ago} ${format.format(amount)}`;
  }
}

let gone;
function toast(text) {
  clearTimeout(gone);
  by('toast').textContent = text;
  gone = setTimeout(() => by('toast').replaceChildren(), 6_000);
}

// doing ----------------------------------------------------------------------------------------------------------------

/** Ask something of the colleague: yes, or a line of text. Nothing when they think better of it. */
function confirm(title, label, value) {
  const dialog = by('ask');
  const input = dialog.querySelector('input');
  by('ask-title').textContent = title;
  input.parentElement.hidden = !label;
  input.parentElement.firstElementChild.textContent = label ?? '';
  input.value = value ?? '';
  dialog.returnValue = '';
  dialog.showModal();
  (label ? input : dialog.querySelector('.primary')).focus();
  return new Promise((then) => {
    dialog.onclose = () => then(dialog.returnValue && (label ? input.value.trim() : true));
  });
}

const PRESETS = {
  later: (date) => date.setHours(date.getHours() + 3, 0, 0, 0),
  tomorrow: (date) => date.setDate(date.getDate() + 1) && date.setHours(8, 0, 0, 0),
  week: (date) => date.setDate(date.getDate() + ((8 - date.getDay()) % 7 || 7)) && date.setHours(8, 0, 0, 0),
};
const preset = (name) => new Date(PRESETS[name](new Date()));

function move(step) {
  const rows = all('.row');
  const here = rows.findIndex((row) => row === document.activeElement || row.hasAttribute('aria-current'));
  rows[Math.min(rows.length - 1, Math.max(0, here + step))]?.focus();
}

let signed; // the message that gets a sign
const pickFrom = (name) => pick(by(`pick-${name}`));

const deeds = {
  async take() {
    const { holder, holderName } = by('head').dataset;
    if (!holder || (holder !== me && (await confirm(say('take_from', { name: holderName }) + '?')))) tell({ t: 'take', was: holder });
  },
  release: () => tell({ t: 'release' }),
  close: () => tell({ t: 'close' }),
  assign: () => pickFrom('assign'),
  'assign-to': ({ id }) => tell({ t: 'assign', to: id || null }),
  snooze() {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, { weekday: 'short', hour: '2-digit', minute: '2-digit' });
    for (const each of all('[data-preset]')) each.querySelector('time').textContent = PRESETS[each.dataset.preset] ? format.format(preset(each.dataset.preset)) : '';
    pickFrom('snooze');
  },
  async 'snooze-to'({ preset: name }) {
    const input = by('ask').querySelector('input');
    input.type = 'datetime-local';
    const start = new Date(preset('tomorrow') - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
    const until = PRESETS[name] ? preset(name) : new Date((await confirm(words.snooze_until, words.snooze_until, start)) || NaN);
    input.type = 'text';
    if (until > Date.now()) tell({ t: 'snooze', until: until.toISOString() });
  },
  async rename() {
    const name = await confirm(words.rename_label, words.rename_label, by('work').dataset.name);
    if (name) tell({ t: 'name', name });
  },
  reply: () => composer.mode(false, true),
  note: () => composer.mode(true, true),
  send: () => composer.send(),
  anyway: () => composer.anyway(),
  attach: () => by('attach').click(),
  detach: ({ id }) => files.remove(id),
  async prefer({ none }) {
    tell({ t: 'prefer', channel: none === undefined ? by('on').value : null });
  },
  async retry({ of, ask: sure }) {
    if (!sure || (await confirm(sure))) tell({ t: 'retry', of: Number(of) });
  },
  fetch: ({ file }) => change('POST', `files/${file}/again`, undefined, 'done'),
  finish({ of = document.querySelector('[data-do=finish][data-of]')?.dataset.of }) {
    if (of) tell({ t: 'task_done', of: Number(of) });
  },
  bridge: ({ of }) => change('POST', `tasks/${of}/call`, undefined, 'bridging'),
  unhold: () => change('DELETE', 'held', undefined, 'done'),
  'take-back'({ text }) {
    composer.mode(false);
    composer.mark();
    composer.insert(text);
    deeds.unhold();
  },
  agree: ({ channel, purpose, given }) => change('POST', 'agreements', { channel, purpose, given: given !== undefined }, 'done'),
  async join({ other }) {
    const reason = await confirm(words.join_ask, words.reason);
    if (reason && (await change('POST', 'join', { other, reason }, 'done'))) location.reload();
  },
  async part({ other }) {
    const reason = await confirm(words.part_ask, words.reason);
    if (reason && (await change('POST', 'part', { other, reason }, 'done'))) location.reload();
  },
  async 'join-by-hand'() {
    const which = await confirm(words.join_by_hand, words.join_which);
    if (which) deeds.join({ other: which.split(/[/?#]/).filter((part) => /^[a-z0-9]+$/.test(part)).at(-1) ?? which });
  },
  quote: ({ of }) => composer.quote(of),
  unquote: () => composer.quote(),
  react({ of }) {
    signed = Number(of);
    pickFrom('sign');
  },
  'react-with': ({ emoji }) => tell({ t: 'react', of: signed, emoji }),
  templates: () => pickFrom('template'),
  async template({ href }) {
    await htmx.ajax('GET', href, { source: '#filling', target: '#fill', swap: 'outerHTML' });
    by('filling').showModal();
  },
  'cancel-fill': () => by('filling').close(),
  'send-now': () => composer.fire(),
  undo: () => composer.undo(),
  seen: () => composer.goOn(),
  canned() {
    composer.mode(false);
    composer.mark();
    pickFrom('canned');
  },
  insert: ({ text }) => composer.insert(text, '/'),
  mention() {
    composer.mark();
    pickFrom('mention');
  },
  'mention-them': ({ name }) => composer.insert(`@${name} `, '@'),
  why() {
    const every = all('.why');
    const shut = every.some((each) => !each.open);
    for (const each of every) each.open = shut;
  },
  person() {
    if (getComputedStyle(by('panel')).display === 'none') location.hash = 'panel';
    by('panel').focus();
  },
  search: () => by('q').select() || by('q').focus(),
  async filter() {
    if (!by('since')) await act('view-search', { href: '/console/search' });
    by('since').focus();
  },
  next: () => move(1),
  previous: () => move(-1),
  palette: () => pick(by('pick-palette'), (option) => !('threaded' in option.dataset) || Boolean(open())),
  visit: ({ href }) => location.assign(href),
  help: () => by('help').showModal(),
  alerts: () => by('alerts').showModal(),
  'test-alert': () => alert(words.alert_test),
  jump: () => (by('scroll').scrollTop = 0),
  cancel: () => by('ask').close(),
  wake: () => (line.state === 'stopped' ? location.reload() : line.wake()),
};

let go;
const asked = () => new URL(by('list').dataset.url, location).searchParams.get('q') ?? '';

/** Open the one that was found; of several the first, which is the newest. */
function goTo() {
  go = false;
  const row = document.querySelector('#list .row');
  row?.focus();
  row?.click();
}

/** The arrows lead from the search to what was found, along it, and back. */
function walk(target, down) {
  const rows = all('#list .row');
  const to = rows.indexOf(target) + (down ? 1 : -1);
  (to < 0 ? by('q') : rows[Math.min(to, rows.length - 1)])?.focus();
}

function act(name, data = {}) {
  if (name.startsWith('view-')) return htmx.ajax('GET', data.href, { source: '#app', target: '#app', swap: 'outerHTML' }).then(() => history.pushState({ htmx: true }, '', data.href));
  const asks = ['take', 'release', 'close', 'assign', 'snooze', 'rename', 'reply', 'note', 'canned', 'finish', 'templates', 'attach', 'person'].includes(name);
  if (asks && (!open() || (name !== 'person' && 'moved' in by('head').dataset))) return undefined;
  return deeds[name]?.(data);
}

document.addEventListener('click', ({ target }) => {
  const doing = target.closest?.('[data-do]');
  if (!doing) return;
  if (doing.role === 'option') doing.closest('dialog').close();
  act(doing.dataset.do, doing.dataset);
});
by('app').parentElement.addEventListener('click', ({ target }) => target.closest('#jump') && deeds.jump());

const KEYS = {
  '/': 'search', '?': 'help', f: 'filter', j: 'next', k: 'previous', r: 'reply', n: 'note', t: 'take', l: 'release', a: 'assign',
  z: 'snooze', c: 'close', d: 'finish', i: 'canned', m: 'rename', w: 'why', p: 'person',
};

document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  const writing = target.matches('input, textarea, select, [contenteditable]');
  const dialog = document.querySelector('dialog[open]');
  let name;
  if (ctrlKey || metaKey) {
    if (key === 'Enter' && target.closest('#composer')) name = 'send';
    if (key.toLowerCase() === 'k') name = dialog ? undefined : 'palette';
  } else if (key === 'Escape' && !dialog) {
    if (composer.undo()) return;
    if (writing) target.blur();
    if (location.hash === '#panel') location.hash = 'thread';
  } else if (!writing && !dialog && !altKey && localStorage.getItem('onethread.keys') !== 'off') {
    name = KEYS[key.toLowerCase()];
    const view = all('#views a')[key - 1];
    if (view) view.click();
  }
  if ((target === by('q') || target.matches('.row')) && ['ArrowDown', 'ArrowUp'].includes(key)) {
    event.preventDefault();
    return walk(target, key === 'ArrowDown');
  }
  if (key === 'Enter' && target === by('q') && target.value.trim()) {
    event.preventDefault();
    if (asked() === target.value.trim()) goTo();
    else {
      go = true; // what is listed is the answer to fewer letters
      htmx.trigger(target, 'find');
    }
  }
  if (!name) return;
  event.preventDefault();
  act(name);
});

document.addEventListener('submit', async (event) => {
  const { target } = event;
  if (target.id !== 'fill') return;
  event.preventDefault();
  const { template, language } = target.dataset;
  if (await change('POST', `templates/${template}`, { language, values: Object.fromEntries(new FormData(target)) }, 'template_sent')) by('filling').close();
});

document.addEventListener('input', (event) => {
  composer.input(event.target);
  const { target, data } = event;
  if (target.id === 'reply' && data === '/' && target.value === '/') act('canned');
  if (target.id === 'note' && data === '@') deeds.mention();
});

document.addEventListener('change', async ({ target }) => {
  if (target.id === 'attach') {
    files.add(target.files);
    target.value = '';
  }
  if (target.id === 'on') composer.way(true);
  if (target.id === 'whisper') composer.whispers(target.checked);
  const { keep: name } = target.dataset;
  if (!name) return;
  if (name === 'desktop' && target.checked) target.checked = await permit();
  keep(name, target.checked);
});

document.addEventListener('onethread:tell', ({ detail }) => tell(detail)); // what stands beside this script asks for
// begin ----------------------------------------------------------------------------------------------------------------

files.begin(toast);
composer.compose({
  add: (frame) => box.add(frame),
  toast,
  typing: (on) => open() && line.send({ t: 'typing', thread: open(), on }),
  newest: () => Number(end().dataset.last),
  hold: (text) => change('PUT', 'held', { text }, 'holding'),
  waiting: () => box.frames.some(({ t, thread }) => t === 'post' && thread === open()) && (line.state === 'live' ? 'sending_now' : 'sending_waits'),
});

document.addEventListener('htmx:configRequest', ({ detail }) => (detail.headers['X-CSRF-Token'] = csrf));
document.addEventListener('visibilitychange', read);
for (const each of ['focus', 'keydown', 'pointerdown', 'pointermove']) {
  addEventListener(each, () => {
    sign = Date.now();
    read();
  }, { passive: true });
}
// Words on their way leave before the line is hung up; drafts are kept.
addEventListener('pagehide', () => {
  composer.fire();
  composer.saveNow(true);
});
for (const box of all('[data-keep]')) box.checked = box.dataset.keep === 'keys' ? localStorage.getItem('onethread.keys') !== 'off' : kept(box.dataset.keep);
setInterval(() => {
  if (!document.hidden) refreshList(); // that a channel is out of order is said there, and not on the line
  ago();
  composer.way();
}, WAITING);
for (const event of ['paste', 'drop']) {
  document.addEventListener(event, (happens) => {
    const given = (happens.clipboardData ?? happens.dataTransfer)?.files;
    if (!given?.length || !happens.target.closest?.('#thread') || !by('attach')) return;
    happens.preventDefault();
    files.add(given);
  });
}
document.addEventListener('dragover', (event) => event.target.closest?.('#thread') && event.preventDefault());
epoch = by('work').dataset.epoch;
opened();
badge();
ago();
followPage(line);
line.start();
