/** Files that go with the next reply: uploaded while it is being written, shown with how far they have come. */
import { csrf, say, words } from './kept.js';

const by = (id) => document.getElementById(id);
const MOST = 10; // of one message

let toast;
export const begin = (say) => (toast = say);

let chosen = []; // {id, name, row, done}, of the conversation `of`
let of;
let number = 0;
let parked = []; // what was taken last, of the conversation `parkedOf`: it comes back with a reply that is taken back
let parkedOf;

/** Upload these. */
export function add(list) {
  opened();
  for (const file of [...list].slice(0, MOST - chosen.length)) upload(file);
}

function upload(file) {
  const entry = { local: `f${++number}`, name: file.name, row: document.createElement('li') };
  const button = Object.assign(document.createElement('button'), { type: 'button', textContent: '×', ariaLabel: say('attach_remove', file) });
  button.dataset.do = 'detach';
  button.dataset.id = entry.local;
  const name = Object.assign(document.createElement('bdi'), { textContent: file.name });
  const progress = document.createElement('small');
  entry.row.append(name, progress, button);
  by('files').append(entry.row);
  chosen.push(entry);
  show();
  const request = (entry.request = new XMLHttpRequest());
  request.open('POST', `/api/threads/${of}/files`);
  request.setRequestHeader('X-CSRF-Token', csrf);
  request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
  request.setRequestHeader('X-File-Name', encodeURIComponent(file.name));
  request.responseType = 'json';
  request.upload.onprogress = ({ loaded, total }) => (progress.textContent = say('uploading', { percent: Math.floor((100 * loaded) / total) }));
  request.onloadend = () => {
    if (!chosen.includes(entry)) return;
    progress.textContent = '';
    entry.id = request.status < 300 && request.response?.file?.id;
    if (entry.id) return;
    remove(entry.local);
    toast(say(request.response?.code === 'storage_full' ? 'upload_no_room' : 'upload_failed', file));
  };
  request.send(file);
}

/** Not this one after all. */
export function remove(local) {
  const entry = chosen.find((each) => each.local === local);
  if (!entry) return;
  chosen = chosen.filter((each) => each !== entry);
  entry.request.abort();
  entry.row.remove();
  show();
  by('reply').focus();
}

function show() {
  by('files').hidden = !chosen.length;
}

/** Another conversation has files of its own. */
export function opened() {
  const { thread } = by('work').dataset;
  if (thread === of && (!chosen.length || by('files')?.contains(chosen[0].row))) return;
  of = thread;
  for (const { request } of chosen) request.abort();
  chosen = [];
}

/** Whether there is something to send, and whether it is all there. */
export const any = () => chosen.length > 0;
export const ready = () => chosen.every(({ id }) => id);

/** Take what is to be sent. */
export function take() {
  [parked, parkedOf] = [chosen, of];
  for (const { row } of chosen) row.remove();
  chosen = [];
  show();
  return parked.map(({ id }) => id);
}

/** They were not sent after all. Where another conversation is open by now, they must not go to that person. */
export function back(ids = []) {
  const again = parked.filter(({ id }) => ids.includes(id) && by('work').dataset.thread === parkedOf);
  parked = [];
  chosen.push(...again);
  by('files')?.append(...again.map(({ row }) => row));
  if (by('files')) show();
}

export const wait = () => toast(words.upload_wait);
