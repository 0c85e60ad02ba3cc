/** The conversation as rows: bubbles, days between them, and what happened besides. */
import { byPerson } from './conversation.js';
import { h, icon, link, linked } from './dom.js';

const TOGETHER = 300_000; // ms: bubbles of one author within five minutes belong together
export const WARNING = 'M12 4 2.5 20h19zM12 10v4M12 17v.01';

/** What happened besides, by kind of event. */
export const HAPPENED = {
  taken: '{name} has joined.',
  released: 'The assistant answers again.',
  closed: 'Closed. Write to open it again.',
  erased: 'Erased.',
  joined: '', // where another conversation belongs: more.js puts it there
};

/** Who speaks, as people call them. */
export const nameOf = ({ role, name }, t, clinic) =>
  role === 'person' ? t('You') : (name ?? (role === 'staff' ? t('Team') : clinic.assistant));

/**
 * @param {ReturnType<import('./conversation.js').converse>} talk
 * @param {(english: string, values?: object) => string} t
 * @param {ReturnType<import('./times.js').times>} times
 * @param {{choose(text, id), retry(key), discard(key)}} can what the person may do with a row
 * @param {(tag: string, label: string, click: () => void, props?: object) => object} press makes a button
 */
export function rows({ entries, queue, readByThem, clinic }, t, times, can, press) {
  const unsent = queue.posts.map((post) => ({
    ...post,
    kind: 'posted',
    who: { role: 'person' },
    lang: post.language,
    state: post.refused ? 'Not sent' : queue.flying === post.key ? 'Sending' : 'Waiting',
  }));
  const all = [...entries, ...unsent].filter(({ of }) => !of);
  const lastOwn = all.findLast(byPerson);
  const last = all.findLast(({ kind }) => kind === 'posted');
  const author = (entry) => entry?.text && entry.who.role + entry.who.name;
  const together = (one, other) => author(one) === author(other) && new Date(other?.at) - new Date(one?.at) < TOGETHER;
  let today;
  return all.map((one, n) => {
    const entry = can.extra?.seen(one, t) ?? one;
    const { at, kind, who, text = '', lang, links = [], choices = [], urgent, key = entry.seq, refused } = entry;
    const day = times.day(at);
    const newDay = day !== today && h('p.day', { key: (today = day) }, day);
    if (kind !== 'posted') return [newDay, h('p.line', { key }, t(HAPPENED[kind], { name: who.name ?? t('Team') }))];
    const me = byPerson(entry);
    const state = entry.state ?? (one === lastOwn && (entry.seq > readByThem ? 'Sent' : 'Read'));
    const head = newDay || !together(all[n - 1], entry);
    const foot = state || !together(entry, all[n + 1]);
    const words = { lang, dir: 'auto' };
    return [
      newDay,
      h(
        'div',
        { key, class: `row ${me ? 'me' : 'them'}${head ? ' head' : ''}${urgent ? ' urgent' : ''}` },
        h(head && !me ? 'span.name' : 'span.vh', {}, nameOf(who, t, clinic)),
        h('div.bubble', words, urgent && h('strong', {}, icon(WARNING), t('Urgent')), linked(text, urgent)),
        can.extra?.below(entry, t),
        (links[0] || (one === last && choices[0])) &&
          h(
            'div.chips',
            {},
            links.map(({ url, label }) => link(url, label, 'a.chip', words)),
            one === last && choices.map(({ id, label }) => press('.chip', label, () => can.choose(label, id), words)),
          ),
        foot &&
          h(
            refused ? 'div.meta.bad' : 'div.meta',
            {},
            h('time', { datetime: at }, times.time(at)),
            state && ` · ${t(state)}`,
            refused && ` · ${t('The clinic did not take it.')}`,
            refused && press('', t('Try again'), () => can.retry(key)),
            /Not|Wait/.test(state) && press('', t('Discard'), () => can.discard(key)),
          ),
      ),
    ];
  });
}
