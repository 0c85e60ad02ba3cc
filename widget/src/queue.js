/**
 * What the person has said and the server has not yet acknowledged.
 *
 * A post gets its key before the first try and keeps it on every further one, so that saying it again is the same as
 * saying it once. It is written down before it is sent, one is on its way at a time, and it stays until it is
 * acknowledged or the person discards it: a reload, a crash or a night without network loses nothing.
 */
import { planner, uuid } from './world.js';

/**
 * An empty queue.
 * @param {object} options
 * @param {(frame: object) => boolean} options.send puts a `post` on the line; false if there is none
 * @param {(posts: object[]) => void} options.keep writes the queue down
 * @param {() => void} options.changed somebody may want to look
 * @param {object} options.world clock and chance
 */
export function queueOf({ send, keep, changed, world }) {
  const plan = planner(world);
  let open;
  let held;

  const queue = {
    /** `{key, text, choice?, consent?, language?, at, tried?, refused?}` in the order they were said. */
    posts: [],
    /** The key of the post that is on its way at this moment. */
    flying: undefined,

    /** Whether posts were sent of which nobody knows whether they arrived. */
    unsure: () => queue.posts.some(({ tried, refused }) => tried && !refused),

    /** Say something. */
    add(words) {
      const text = words.text.toWellFormed?.() ?? words.text; // half a character, as a cut text ends in, cannot be stored
      queue.posts.push({ ...words, text, key: uuid(), at: new Date(world.now()).toISOString() });
      next();
    },

    /** Take over what an earlier life of this tab, or a tab that is gone, left behind. */
    adopt(posts) {
      queue.posts.push(...posts.filter(({ key }) => !find(key)));
      queue.posts.sort((one, other) => (one.at < other.at ? -1 : 1));
      next();
    },

    /** The line stands and everything that happened meanwhile has been seen; or it is cut. */
    ready(is) {
      open = is;
      land();
      next();
    },

    /**
     * The server's answer to one of our keys: `event` or `done`, `later`, `refused`.
     */
    settle({ t, key, code, retry_ms }) {
      const post = find(key);
      if (t === 'later' && (post || !key)) hold(retry_ms);
      if (t === 'later' || !post) return;
      if (queue.flying === key) land();
      if (t === 'refused') post.refused = code;
      else remove(post);
      next();
    },

    /** The line was closed because of what we said last: it is not said again by itself. */
    mistake: () => queue.settle({ t: 'refused', key: queue.flying, code: 'bad_frame' }),

    /** The person wants it tried again. A key that stands for other words is of no more use. */
    retry(key, changes) {
      const post = find(key);
      if (/key/.test(post.refused)) post.key = uuid();
      Object.assign(post, { refused: undefined, ...changes });
      next();
    },

    /** The person does not want it said any more. @returns {string | undefined} its words, which can be kept */
    discard(key) {
      if (queue.flying === key) return undefined;
      const post = find(key);
      remove(post);
      next();
      return post.text;
    },

    /** The old thread has answered that these are not there: they may be said in the new one. */
    release() {
      for (const post of queue.posts) if (post.refused === 'moved') post.refused = post.tried = undefined;
    },

    /** Forget every word. */
    clear() {
      queue.posts = [];
      land();
      next();
    },
  };
  return queue;

  function find(key) {
    return queue.posts.find((post) => post.key === key);
  }

  function remove(post) {
    queue.posts = queue.posts.filter((one) => one !== post);
  }

  function hold(ms) {
    land();
    held = true;
    plan('later', ms * (1 + world.random() / 4), () => {
      land();
      next();
    });
    changed();
  }

  function land() {
    queue.flying = held = undefined;
    plan('later');
  }

  function next() {
    const post = open && !queue.flying && !held && queue.posts.find(({ refused }) => !refused);
    if (post) post.tried = true;
    keep(queue.posts);
    if (post) {
      const { at, tried, ...words } = post;
      if (send({ t: 'post', ...words })) queue.flying = post.key;
    }
    changed();
  }
}
