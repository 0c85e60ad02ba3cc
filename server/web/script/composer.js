/** The fields below a conversation: a reply with five seconds to think again, a note, and the drafts of both. */
import * as files from './files.js';
import { ask, limit, me, say, words } from './kept.js';

const SECONDS = 5; // to undo
const SAVE = 800; // ms after the last letter before a draft is kept
const TYPING = 3_000; // ms between two "I am typing"

const by = (id) => document.getElementById(id);
const thread = () => by('work').dataset.thread;
export const noting = () => by('note') && !by('note').hidden;
const field = () => by(noting() ? 'note' : 'reply');

let pending; // the reply that is counted down: {thread, name, text, seen, left, timer}
let seen; // the last message on the screen when this reply was begun
let typed = 0;
let saving;
let unsaved; // {thread, note, text}: a draft the server does not have yet

/** @type {{add, toast, typing, newest, hold}} what the page does for us */
let page;
export const compose = (does) => (page = does);

/** A conversation was opened, or its frame drawn anew. */
export function opened(frames) {
  saveNow();
  seen = undefined;
  for (const each of [by('reply'), by('note')]) {
    if (frames.some(({ t, thread: of, text }) => of === thread() && text === each?.value && t === (each.id === 'note' ? 'note' : 'post'))) each.value = '';
  }
  files.opened();
  wish = undefined;
  quote();
  mode(false);
  way();
  show();
}

const chosen = () => [...(by('on')?.options ?? [])].find(({ value }) => value === (on ?? usual()))?.dataset ?? {};
const usual = () => by('way')?.dataset.usual;
let on; // the channel that was chosen for this reply, when it is not the usual one
let onThread;

/** How a reply would leave: for how long still, or only as a template. */
export function way(wished) {
  if (by('whisper') && wish !== undefined) by('whisper').checked = wish; // drawn anew
  const select = by('on');
  if (!select) { // there is one way alone: what was chosen for somebody else is not it
    on = undefined;
    return label();
  }
  if (select !== drawn) [drawn, ahead] = [select, Date.parse(select.dataset.now) - Date.now()];
  if (wished || onThread !== thread()) [on, onThread] = [select.value === usual() ? undefined : select.value, thread()];
  else if (on && [...select.options].some(({ value }) => value === on)) select.value = on; // drawn anew, and still wanted
  const { until } = chosen();
  const minutes = left();
  by('left').textContent = until && !shut() ? say('way_left', { hours: Math.floor(minutes / 60), minutes: minutes % 60 }) : '';
  by('left').classList.toggle('soon', minutes < 120);
  by('closed').hidden = !shut();
  by('warns').hidden = true;
  label();
}

/** While somebody is on the phone: the assistant says the words and stays with them, or I speak with them myself. */
let wish;
export function whispers(wished) {
  wish = wished;
  label();
}
const whispering = () => Boolean(by('whisper')?.checked) && (on ?? usual()) === 'voice';

let drawn; // the ways as the server drew them last
let ahead = 0; // milliseconds by which its clock was ahead of ours then: a window closes by its clock
const left = () => Math.floor((Date.parse(chosen().until) - Date.now() - ahead) / 60_000); // minutes

/** Whether only a template can go now. */
const shut = () => chosen().closed !== undefined || left() < 1;

/** What the button does. */
function label() {
  if (!by('reply')) return; // no conversation is open
  by('reply').placeholder = chosen().says ?? by('way').dataset.says;
  const as = noting() ? 'note' : shut() ? 'hold' : whispering() ? 'whisper' : 'reply';
  for (const each of ['note', 'hold', 'whisper', 'reply']) document.querySelector(`#composer .tools [data-${each}]`).hidden = each !== as;
}

/** Reply, or note. */
export function mode(note, focus) {
  if (!by('reply')) return;
  by('note').hidden = !note;
  by('reply').hidden = note;
  for (const each of document.querySelectorAll('.modes button')) each.setAttribute('aria-pressed', (each.dataset.do === 'note') === note);
  label();
  document.querySelector('#composer [data-do=mention]').hidden = !note;
  document.querySelector('#composer [data-do=canned]').hidden = note;
  if (focus) field().focus();
  count();
}

/** Letters were typed. */
export function input(target) {
  if (target !== by('reply') && target !== by('note')) return;
  const { value, id } = target;
  if (unsaved && unsaved.note !== (id === 'note')) saveNow();
  clearTimeout(saving);
  unsaved = { thread: thread(), note: id === 'note', text: value };
  saving = setTimeout(saveNow, SAVE);
  count();
  if (id === 'note') return;
  seen = value.trim() ? (seen ?? page.newest()) : undefined;
  if (!value) by('guard').hidden = true;
  if (!value || Date.now() - typed > TYPING) {
    typed = value ? Date.now() : 0;
    page.typing(Boolean(value));
  }
}

/** Keep the draft now: the page is about to go. */
export function saveNow(leaving) {
  clearTimeout(saving);
  if (!unsaved) return;
  const { thread: of, note, text } = unsaved;
  unsaved = undefined;
  const path = note ? `/console/parts/${of}/note-draft` : `/api/threads/${of}/draft`;
  ask('PUT', path, { text: text.slice(0, 4096) }, { keepalive: leaving }).catch(() => (unsaved ??= { thread: of, note, text }));
}

function count() {
  const left = limit - [...field().value].length;
  by('count').textContent = left < 0 ? say('too_long', { number: -left }) : left < 200 ? say('characters_left', { number: left }) : '';
}

let caret;

/** Remember where the caret is: a dialog that opens now takes it away. */
export const mark = () => (caret = document.activeElement === field() ? field().selectionStart : field().value.length);

/** Put words where the caret was, in place of the letter that called for them. */
export function insert(text, letter = '') {
  const target = field();
  target.focus();
  target.setRangeText(text, caret - (target.value[caret - 1] === letter), caret, 'end');
  target.dispatchEvent(new Event('input', { bubbles: true }));
}

/** A colleague has said something in the conversation that is open. */
export function colleague({ who, seq }) {
  if (seen === undefined || who.id === me || seq <= seen) return;
  guard(say('just_replied', who));
}

function guard(text) {
  by('guard').firstElementChild.textContent = text;
  by('guard').hidden = false;
}

/** They have read what the colleague said. */
export function goOn() {
  by('guard').hidden = true;
  seen = page.newest();
  by('reply').focus();
}

/** Send what is in the field: a note at once, a reply after five seconds; again: now. */
export function send() {
  if (pending) return fire();
  const target = field();
  const text = target.value.trim();
  if ((!text && (noting() || !files.any())) || [...text].length > limit) return target.focus();
  if (noting()) {
    page.add({ t: 'note', thread: thread(), text, mentions: mentioned(text) });
    return clear(target);
  }
  if (!by('guard').hidden) return by('guard').querySelector('button').focus();
  if (shut()) return hold(target, text);
  if (whispering() && text) { // nobody on the phone waits five seconds
    page.add({ t: 'post', thread: thread(), text, seen: seen ?? page.newest(), whisper: true });
    return clear(target);
  }
  if (!files.ready()) return files.wait();
  if (chosen().warns !== undefined && !warned) {
    by('warns').hidden = false;
    return by('warns').querySelector('button').focus();
  }
  pending = { thread: thread(), text, seen: seen ?? page.newest(), left: SECONDS, more: more() };
  pending.timer = setInterval(() => (--pending.left > 0 ? show() : fire()), 1_000);
  clear(target);
  show();
  by('said').textContent = by('pending').textContent; // said once: the seconds are only seen
}

/** The reply answers this message, or none in particular. */
let quoted;
export function quote(of) {
  quoted = Number(of) || undefined;
  if (!by('quoting')) return;
  by('quoting').hidden = !quoted;
  by('quoting').firstElementChild.textContent = by(`in${of}`)?.querySelector('.text')?.textContent ?? '';
  if (quoted) mode(false, true);
}

/** It is sent in spite of the warning, which is recorded. */
let warned;
export function anyway() {
  warned = true;
  by('warns').hidden = true;
  send();
  warned = false;
}

/** What goes with the words. */
const more = () => ({ ...(on && { on }), ...(quoted && { reply_to: quoted }), ...(warned && { anyway: true }), ...(files.any() && { files: files.take() }) });

/** Outside of the time for free text: it leaves when they write again. */
async function hold(target, text) {
  if (!text || !(await page.hold(text))) return target.focus();
  clear(target);
  unsaved = { thread: thread(), note: false, text: '' };
  saveNow();
}

/** Whom a note names: the longest names first, so that "@Ann" is not also found in "@Ann Lee". */
const mentioned = (text) =>
  [...document.querySelectorAll('#mention-options [data-id]')]
    .map(({ dataset }) => dataset)
    .sort((a, b) => b.name.length - a.name.length)
    .filter(({ name }) => text !== (text = text.replaceAll(`@${name}`, '')))
    .map(({ id }) => id);

/** The words are on their way; the draft stays until the server has them. */
function clear(target) {
  clearTimeout(saving);
  unsaved = undefined;
  if (!noting()) quote();
  target.value = '';
  seen = undefined;
  page.typing(false);
  count();
}

/** Time is up, or they do not want to wait. */
export function fire() {
  if (!pending) return;
  const { thread: to, text, seen: upto, timer, more } = pending;
  clearInterval(timer);
  pending = undefined;
  page.add({ t: 'post', thread: to, text, seen: upto, ...more });
  show();
}

/** Not sent. Says whether there was something to take back. */
export function undo() {
  if (!pending) return false;
  const { thread: to, text, timer, more } = pending;
  clearInterval(timer);
  pending = undefined;
  const back = restore(to, text);
  if (back) quote(more.reply_to);
  files.back(more.files);
  page.toast(words[back ? 'undone' : 'kept_as_draft']);
  show();
  return true;
}

/** Words that were not said come back to their field, or stay a draft. */
function restore(to, text) {
  if (to !== thread() || !by('reply')) {
    ask('PUT', `/api/threads/${to}/draft`, { text });
    return false;
  }
  mode(false, true);
  const target = by('reply');
  target.value = target.value ? `${text}\n${target.value}` : text;
  target.dispatchEvent(new Event('input', { bubbles: true }));
  return true;
}

/** The server has answered a reply or a note. */
export function answered({ t, thread: of, text, files: ids }, answer) {
  show();
  if (answer.t === 'refused' && ids) files.back(ids);
  if (answer.t === 'refused') {
    if (t === 'note') {
      if (of === thread()) mode(true, true);
      mark();
      insert(text);
    } else if (restore(of, text) && answer.code === 'colleague_replied') {
      seen = 0;
      guard(words.colleague_replied);
      return true;
    }
    return false;
  }
  const note = t === 'note';
  if (of !== thread() || !by(note ? 'note' : 'reply').value) {
    unsaved = { thread: of, note, text: '' };
    saveNow();
  }
  return true;
}

/** What is on its way, above the field. */
export function show(waiting = page.waiting()) {
  const strip = by('pending');
  if (!strip) return;
  strip.hidden = !pending && !waiting;
  if (strip.hidden) return;
  if (pending && !strip.querySelector('button')) {
    strip.replaceChildren(...['undo', 'send_now'].map((key) => Object.assign(document.createElement('button'), { type: 'button', textContent: words[key] })));
    strip.prepend(document.createElement('span'));
    strip.children[1].dataset.do = 'undo';
    strip.children[2].dataset.do = 'send-now';
  } else if (!pending) strip.replaceChildren(document.createElement('span'));
  strip.firstChild.textContent = pending ? say('sending_in', { seconds: pending.left }) : words[waiting];
}
