/**
 * Who has signed in on the page: shown to the server once the person has agreed that something is stored at all, and while
 * nothing that was said before is on its way, since it goes on under another key.
 */
import { refusal } from './door.js';

const AGAIN = 5_000; // ms until the next try where nobody could be reached, if nobody says

/**
 * @param {ReturnType<import('./conversation.js').converse>} talk whose `proof` is `{by, yes, no}`: what the page gave, and whom
 *   to tell what became of it
 * @param {HTMLElement} host
 * @param {() => void} changed something is to be drawn
 * @returns {() => void} to be called whenever something has changed
 */
export function proving(talk, host, changed) {
  const { queue } = talk;
  const { ready } = queue;
  let busy;
  let showing; // nothing is said meanwhile, whoever wakes the line: it would be said under the old key
  queue.ready = (is) => ready(is && !showing);
  return function prove() {
    const { proof, memory } = talk;
    if (!proof || busy || !host.isConnected || !memory.visit.visitor || talk.mustAgree() || queue.unsure()) return;
    busy = true;
    show(proof)
      .catch((error) => failed(proof, error))
      .then((wait) => {
        if (wait) setTimeout(free, wait);
        else free();
      });
  };

  function free() {
    busy = false;
    changed();
  }

  async function show(proof) {
    const { by } = proof;
    const { line, memory } = talk;
    proof.token ??= await given(by);
    if (talk.proof !== proof || queue.unsure()) return; // something was said, or it was ended, meanwhile
    showing = true;
    line.rest();
    try {
      await talk.visit({ identity: proof.token, consent: memory.visit.consent });
    } finally {
      showing = false;
      line.rest();
      if (memory.agreed && host.isConnected) line.start();
    }
    done(proof);
    proof.yes();
  }

  /** @returns {Promise<number | undefined>} after how many ms to try again */
  async function failed(proof, error) {
    const { code, stop, wait } = error;
    proof.token = undefined; // what gives one gives a new one
    if (talk.proof !== proof) return undefined;
    if (code === 'consent_needed') {
      talk.memory.learn({ consent: undefined }); // it is asked again, and this waits
    } else if (code === 'identity_changed') {
      // Somebody else was here: nothing of theirs is shown, and nothing that was agreed to is this person's word.
      talk.proof = undefined;
      await talk.forget();
      talk.proof = proof;
      talk.start();
    } else if (stop) end(proof, error);
    else return wait || AGAIN;
    return undefined;
  }

  /** The page's word, if it is one. */
  async function given(by) {
    let token;
    try {
      token = await (typeof by === 'function' ? by() : by);
    } catch (cause) {
      throw Object.assign(refusal('identity_not_given', true), { cause });
    }
    if (typeof token !== 'string') throw refusal('identity_not_given', true);
    return token;
  }

  function end(proof, error) {
    done(proof);
    proof.no(error);
    host.dispatchEvent(new CustomEvent('error', { detail: { code: error.code } }));
  }

  function done(proof) {
    if (talk.proof === proof) talk.proof = undefined;
  }
}
