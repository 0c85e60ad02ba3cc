/** Who is waiting, said outside the page: in its title, by a sound, on the desktop. Off until a colleague allows it. */
import { kept, say, words } from './kept.js';

let audio;

/** Two soft notes. */
function chime() {
  audio ??= new AudioContext();
  audio.resume();
  [660, 880].forEach((pitch, n) => {
    const start = audio.currentTime + n * 0.12;
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.08, start);
    volume.gain.exponentialRampToValueAtTime(0.0001, start + 0.25);
    tone.connect(volume).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.25);
  });
}

/** Say it as loudly as was allowed; never what anybody wrote. A click leads to `href`. */
export function alert(what, href) {
  if (kept('sound')) chime();
  if (!kept('desktop') || globalThis.Notification?.permission !== 'granted') return;
  const note = new Notification(what, { tag: href ?? 'test', icon: '/static/console/icon.svg' });
  note.onclick = () => {
    focus();
    note.close();
    if (href) location.assign(href);
  };
}

const text = (selector) => document.querySelector(selector)?.textContent;

const mentions = new Set();

/** A note names me. Says whether it is elsewhere than on the screen. */
export function named({ thread, who }, open) {
  if (thread === open && document.hasFocus()) return false;
  mentions.add(thread);
  alert(say('alert_mention', who), `/console/all/${thread}`);
  return true;
}

/** How many wait, whether I am asked for, and who is on the screen. */
export function badge() {
  mentions.delete(document.getElementById('work').dataset.thread);
  const waiting = Number(document.getElementById('views').dataset.waiting);
  document.title = `${mentions.size ? '@ ' : ''}${waiting ? `(${waiting}) ` : ''}${text('#name') ?? text('h1')} · ${text('.brand span')}`;
}

/** The box for desktop alerts was ticked: the browser asks the colleague. */
export async function permit() {
  const granted = globalThis.Notification && (await Notification.requestPermission()) === 'granted';
  document.getElementById('denied').hidden = granted;
  return granted;
}

const FRESH = 60_000; // ms: what is older was there before this page
const told = new Map();
const fresh = (at) => Date.now() - Date.parse(at) < FRESH;

/** A row of the inbox changed: tell of somebody who waits, and of a new message in a conversation of mine. */
export function heard(row, me, open) {
  const { thread, floor, preview, waiting_since: since, last_at: at } = row;
  const waits = floor === 'waiting' && since;
  const said = preview?.role === 'person' && preview.seq === row.seq && preview.seq;
  const before = told.get(thread);
  told.set(thread, { waits, said });
  if (waits && waits !== before?.waits && fresh(since)) alert(words.alert_waiting, `/console/needs-reply/${thread}`);
  else if (said && said !== before?.said && fresh(at) && [row.staff, row.assigned].includes(me) && !(open && document.hasFocus())) {
    alert(words.alert_message, `/console/mine/${thread}`);
  }
}
