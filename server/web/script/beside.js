/** What stands beside the console's own script: taking back what was just done, and keys that a page names itself. */
import { uuid } from '/widget/v1/connection.js';
import { ask, me, words } from './kept.js';

const SHOWN = 10_000; // ms that what was just done can be taken back from the message about it; afterwards from its line
const UNDOES = { closed: 'reopen', snoozed: 'unsnooze', released: 'retake', assigned: 'assign' };
const OVERTAKEN = {
  reopen: ['reopened', 'posted', 'taken', 'closed'],
  unsnooze: ['woken', 'snoozed', 'posted', 'taken', 'closed'],
  retake: ['taken', 'released', 'posted', 'closed'],
  assign: ['assigned', 'taken', 'closed'],
  part: ['parted'],
};

const by = (id) => document.getElementById(id);
const tell = (frame) => document.dispatchEvent(new CustomEvent('onethread:tell', { detail: frame }));

const ways = {
  reopen: ({ thread, of }) => tell({ t: 'reopen', thread, of: Number(of) }),
  unsnooze: ({ thread }) => tell({ t: 'unsnooze', thread }),
  retake: ({ thread }) => tell({ t: 'take', thread }),
  assign: ({ thread, to }) => tell({ t: 'assign', thread, to: to || null }),
  async part({ thread, to }, button) {
    const reason = by(`${button.id}-reason`).value.trim();
    if (!reason) return by(`${button.id}-reason`).focus();
    button.disabled = true;
    button.key ??= uuid();
    const answer = await ask('POST', `/api/threads/${thread}/part`, { key: button.key, other: to, reason }).catch(() => {});
    if (answer?.ok) return location.reload();
    button.disabled = false;
    by('toast').textContent = words.cut;
  },
};

document.addEventListener('click', ({ target }) => {
  const button = target.closest?.('[data-undo]');
  if (!button) return;
  ways[button.dataset.undo](button.dataset, button);
  if (button.parentElement.id === 'toast') by('toast').replaceChildren();
});

/** What was taken back or overtaken is offered no more; whoever has just pressed it stays in the conversation. */
function offerNoMore({ kind, other, seq, thread }) {
  for (const each of document.querySelectorAll(`[data-undo][data-thread="${thread}"]`)) {
    const { undo, to, of = 0 } = each.dataset;
    if (of >= seq || !OVERTAKEN[undo].includes(kind) || (undo === 'part' && to !== other)) continue;
    if (each === document.activeElement) by('scroll').focus();
    const told = each.closest('#toast');
    told ? told.replaceChildren() : each.closest('.undo').remove();
  }
  if (kind === 'parted') by(`e-${other}`)?.remove();
}

/** What is drawn may have been asked for before what overtook it was heard of. */
const heard = [];
document.addEventListener('htmx:afterSettle', ({ detail: { target } }) => {
  if (target.id === 'log') heard.forEach(offerNoMore);
});

let gone;
document.addEventListener('onethread:event', ({ detail: frame }) => {
  const { kind, thread, seq, who, reason } = frame;
  const { dataset } = by('log');
  dataset.opened ??= by('end').value; // what is drawn since then moves the end, and may be quicker than we hear of it
  if (seq <= Number(dataset.opened)) return; // said again, since we begin to listen: the page has it
  if (who.role !== 'assistant') {
    offerNoMore(frame);
    if (kind !== 'parted' && heard.push(frame) > 8) heard.shift(); // who was put together again may be parted again
  }
  if (who.id !== me || !UNDOES[kind] || reason === 'idle') return;
  const button = document.createElement('button');
  Object.assign(button.dataset, { undo: UNDOES[kind], of: seq, thread, to: by('head').dataset.assigned ?? '' });
  button.type = 'button';
  button.textContent = words.undo;
  by('toast').replaceChildren(words[`did_${kind}`], button);
  clearTimeout(gone);
  gone = setTimeout(() => button.isConnected && button.parentElement.replaceChildren(), SHOWN);
});

document.addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  const off = localStorage.getItem('onethread.keys') === 'off' || document.querySelector('dialog[open]');
  if (off || ctrlKey || metaKey || altKey || target.matches('input, textarea, select, [contenteditable]')) return;
  const pressed = key.toLowerCase();
  const found = pressed === 'u' ? document.querySelector('#toast [data-undo]') : document.querySelector(`[data-press="${CSS.escape(pressed)}"]`);
  if (!found) return;
  event.preventDefault();
  const first = found.hash && document.querySelector(`${found.hash} .row`);
  first ? first.focus() : found.click();
});
