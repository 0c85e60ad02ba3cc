/** What the page brought along, and what this browser remembers of its colleague's wishes. */
export const { csrf, me, myName, limit, words: texts } = document.body.dataset;

/** The texts that the script says. */
export const words = JSON.parse(texts);

/** A text with its blanks filled. */
export const say = (key, values) => (words[key] ?? '').replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');

export const kept = (name) => localStorage.getItem(`onethread.${name}`) === 'on';
export const keep = (name, on) => localStorage.setItem(`onethread.${name}`, on ? 'on' : 'off');

/** Ask the server to change something. */
export const ask = (method, path, json, options) =>
  fetch(path, { method, headers: { 'X-CSRF-Token': csrf, 'Content-Type': 'application/json' }, body: json && JSON.stringify(json), ...options });
