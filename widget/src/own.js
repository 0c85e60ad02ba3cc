/** What is a person's own: their conversation to be kept as a page, and to be deleted for good once they say so twice. */
import { byPerson } from './conversation.js';
import { h } from './dom.js';

const FAILED = 'This did not work. Please try again in a moment.';

/**
 * @param {ReturnType<import('./conversation.js').converse>} talk
 * @param {() => void} changed something is to be drawn
 * @param {(id: string) => void} focus once that is drawn
 */
export function owning(talk, changed, focus) {
  let asks; // whether it is to be deleted
  let why; // what went wrong: `failed`, or `by_hand`
  let busy;

  async function reach(method) {
    const [base, pass] = talk.reach();
    return fetch(`${base}/own`, { method, headers: { Authorization: `Bearer ${pass}` } });
  }

  async function attempt(what, back) {
    if (busy) return;
    busy = true;
    why = undefined;
    changed();
    try {
      await what();
    } catch {
      why = 'failed';
    }
    busy = false;
    changed();
    if (why) focus(back);
  }

  const save = () =>
    attempt(async () => {
      const answer = await reach('GET');
      if (!answer.ok) throw new Error(answer.status);
      const url = URL.createObjectURL(await answer.blob());
      Object.assign(document.createElement('a'), { href: url, download: 'conversation.html' }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser is done with it by then
    }, 'own-save');

  const erase = (forget) =>
    attempt(async () => {
      const answer = await reach('DELETE');
      if (answer.status === 409) {
        asks = false;
        why = 'by_hand';
      } else if (answer.ok) {
        asks = false;
        await forget();
      } else throw new Error(answer.status);
    }, 'own-erase');

  function ask(now) {
    asks = now;
    why = undefined;
    changed();
    focus(now ? 'own-keep' : 'own-erase');
  }

  return {
    /** The person has gone: whoever comes next is asked anew. */
    close() {
      asks = why = undefined;
    },

    /** Below the settings, once something was said. */
    box(t, forget) {
      if (!talk.entries.some((entry) => entry.seq && entry.kind === 'posted' && byPerson(entry))) return undefined;
      const button = (kind, label, id, click) => h(`button${kind}`, { key: id, id, click, 'aria-disabled': `${!!busy}` }, label);
      return h(
        'div.box',
        { key: 'own', role: 'group', 'aria-label': t('My data') },
        asks && [
          h('p', { key: 'own-asks' }, t('Delete everything that was said here, for us as well? It cannot be brought back.')),
          button('.wide.bad', t('Delete for good'), 'own-sure', () => erase(() => forget(undefined, t('Deleted. Nothing is left here.')))),
          button('.chip', t('Keep'), 'own-keep', () => ask(false)),
        ],
        !asks && [
          button('.chip', t('Download this conversation'), 'own-save', save),
          button('.chip', t('Delete my data'), 'own-erase', () => ask(true)),
        ],
        h('p.bad', { key: 'own-why', role: 'status' }, why && (why === 'by_hand' ? t('Please ask us to delete this: parts of it were put together by hand.') : t(FAILED))),
      );
    },
  };
}
