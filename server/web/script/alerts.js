/** Who is waiting, said outside the page: in its title, by a sound, on the desktop. Off until a colleague allows it. */
import { kept, words } from './kept.js';

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

/** Say `text` as loudly as was allowed; never what anybody wrote. A click leads to `href`. */
export function alert(text, href) {
  if (kept('sound')) chime();
  if (!kept('desktop') || globalThis.Notification?.permission !== 'granted') return;
  const note = new Notification(text, { tag: href ?? 'test', icon: '/static/console/icon.svg' });
  note.onclick = () => {
    focus();
    note.close();
    if (href) location.assign(href);
  };
}

/** How many wait, before the page's own title. */
export function badge() {
  const waiting = +document.getElementById('views')?.dataset.waiting;
  document.title = (waiting ? `(${waiting}) ` : '') + document.title.replace(/^\(\d+\) /, '');
}

/** The box for desktop alerts was ticked: the browser asks the colleague. */
export async function permit() {
  const granted = globalThis.Notification && (await Notification.requestPermission()) === 'granted';
  document.getElementById('denied').hidden = granted;
  return granted;
}

const told = new Map();

/** A row of the inbox changed: tell of somebody who waits, and of a new message in a conversation of mine. */
export function heard(row, me, open) {
  const before = told.get(row.thread);
  told.set(row.thread, { waits: row.floor === 'waiting', said: row.preview?.role === 'person' ? row.preview.seq : (before?.said ?? 0) });
  const { waits, said } = told.get(row.thread);
  const mine = [row.staff, row.assigned].includes(me);
  const seen = open && !document.hidden;
  if (waits && !before?.waits) alert(words.alert_waiting, `/console/needs-reply/${row.thread}`);
  else if (mine && row.unread && said > (before?.said ?? 0) && !seen) alert(words.alert_message, `/console/mine/${row.thread}`);
}
