/**
 * The visitor's side of one conversation: what was said, who has the floor, what is still waiting to be sent.
 *
 * It joins the line, the queue and the memory, and knows nothing of how any of it looks.
 */
import { connect } from './connection.js';
import { HAPPENED } from './messages.js';
import { queueOf } from './queue.js';
import { browser, planner } from './world.js';

const TYPING_AGAIN = 3_000; // ms between two "I am typing"
const TYPING_ENDS = 6_000; // ms after which nobody is believed to be still typing
const READ_AGAIN = 1_000; // ms, at least, between two "I have read up to here"
const ADOPT_AGAIN = 20_000; // ms between two looks for the queue of a tab that is gone
const PASS_MARGIN = 30_000; // ms a pass must still be good for
const PAGE = 50; // events the server sends when no number is asked for

/** Whether an event is a line of its own, or about one (`of`); who read what is drawn as ticks. */
const shown = ({ kind, of }) => of || kind === 'posted' || kind in HAPPENED;

export const byPerson = ({ who }) => who.role === 'person';

/**
 * @param {object} options
 * @param {string} options.server its origin (and path, if it lives under one)
 * @param {() => string} options.wish the language to ask for when the person has not chosen one
 * @param {object} options.on `changed()` something is to be drawn; `message(event)` somebody said something new;
 *   `error(code)`
 */
export function converse({ server, site, memory, door, wish, on, world = browser }) {
  const plan = planner(world);
  const { changed } = on;
  let thread;
  let pass;
  let passEnds = 0;
  let readByMe;
  let typingSaid;
  let paging;
  let fresh; // what comes now is news, not history
  let moving;

  const queue = queueOf({ send: (frame) => line.send(frame), keep: memory.keep, changed, world });
  const line = connect({
    url: `${server.replace(/^http/, 'ws')}/ws/visitor`,
    enter,
    on: { frame: hear, settle, state, mistake: queue.mistake, owed },
    world,
  });

  const talk = {
    memory,
    queue,
    line,
    /** What the clinic says of itself, in the `language` spoken; undefined before the first visit. */
    clinic: memory.visit.clinic,
    language: memory.visit.language ?? wish(),
    /** The longest text the server takes; undefined until it has said so. */
    longest: undefined,

    /** Whether the person has yet to agree to the clinic's present text before anything is stored. */
    mustAgree: () => !memory.agreed || (talk.clinic && memory.visit.consent !== talk.clinic.consent?.version),

    /** The messages the person has not seen. */
    unread: () => talk.entries.filter((entry) => entry.kind === 'posted' && !byPerson(entry) && entry.seq > readByMe),

    /** Whether there are older messages to ask for. */
    more: () => line.log.first > 1,

    /** Be there. Before the person has agreed this only asks the clinic who it is. */
    start() {
      line.start();
      adopt();
    },

    /** Go away for now: the element left the page. */
    rest() {
      line.rest();
      plan('adopt');
    },

    /** The person agrees to the clinic's text. */
    agree() {
      const consent = talk.clinic.consent.version;
      memory.agreed = true;
      memory.learn({ consent });
      for (const { key, refused } of queue.posts) if (refused === 'consent_needed') queue.retry(key, { consent });
      talk.start();
    },

    /** Say something; with `choice`, the id of an offered choice whose label is `text`; with the ids of files brought before. */
    say(text, choice, files) {
      talk.typing(false);
      queue.add({ text, choice, files, consent: memory.visit.consent, language: talk.language });
      line.wake();
    },

    /** Where this conversation is found over HTTP, and the pass that opens it. */
    reach: () => [`${server}/api/threads/${thread}`, pass],

    /** The person is typing, or has stopped. */
    typing(is) {
      const now = world.now();
      plan('typing', TYPING_ENDS, is && (() => talk.typing(false)));
      if (is ? now - typingSaid < TYPING_AGAIN : !typingSaid) return;
      typingSaid = is && now;
      line.send({ t: 'typing', on: is });
    },

    /** The person sees the newest message. */
    see() {
      const last = talk.unread().at(-1);
      if (!last) return;
      readByMe = last.seq;
      plan('read', READ_AGAIN, tellRead);
      changed();
    },

    /** Older messages, from before the first one here. */
    async older() {
      const { log } = line;
      const before = log.first;
      if (paging || !talk.more()) return;
      paging = true;
      try {
        const { events } = await door.history(thread, before, pass);
        if (log.first !== before) return;
        const page = events.filter(({ kind }) => kind);
        // A page of nothing but what this reader may not see says only how far it reached.
        log.first = page[0]?.seq ?? before - PAGE;
        page.forEach(mark);
        talk.entries.unshift(...page.filter(shown));
      } catch (error) {
        fail(error);
      } finally {
        paging = false;
        changed();
      }
    },

    /** Go on in another language; the thread stays. */
    async speak(language) {
      memory.learn({ language });
      await visit().catch(fail);
    },

    /** Ask to be let in; `more` is said besides. */
    visit,

    /** "Remember me on this device", ticked or not. */
    remember(is) {
      memory.outlive(is);
      adopt();
    },

    /**
     * "End and forget here": nothing stays on this device, and what opened the conversation opens nothing any more.
     * @returns {Promise<boolean>} whether the server knows; this device has forgotten in any case
     */
    async forget() {
      const { visitor, language } = memory.visit;
      let still = passEnds > world.now() && pass;
      talk.drop();
      memory.learn({ language }); // of this page, not of this device
      try {
        still ||= visitor && (await door.visit({ site, visitor })).pass;
        if (still) await door.forget(still);
        return true;
      } catch {
        return false; // unreachable; the secret is gone from here either way
      }
    },

    /** Drop everything this page knows of the conversation. */
    drop() {
      line.end();
      clear();
      memory.forget();
      queue.clear();
      thread = pass = talk.proof = undefined;
      passEnds = 0;
    },
  };
  clear();
  memory.met = () => {
    passEnds = 0;
    if (line.state !== 'resting') line.open();
  };
  return talk;

  function fail({ code }) {
    on.error(code);
  }

  async function enter(renew) {
    if (renew || passEnds < world.now() + PASS_MARGIN) await visit();
    return talk.mustAgree() ? undefined : { pass, thread, expires_in: (passEnds - world.now()) / 1_000 };
  }

  async function visit(more) {
    const { visitor, language = wish() } = memory.visit;
    const got = await door.visit({ site, language, visitor, ...more });
    if (visitor !== memory.visit.visitor) return visit(more); // another tab was first
    if (thread !== got.thread) clear();
    thread = got.thread;
    take(got);
    talk.clinic = got.clinic;
    memory.agreed ||= !got.clinic.consent; // a clinic without such a text needs no leave
    talk.language = got.language;
    memory.learn({ visitor: got.visitor, clinic: got.clinic });
    changed();
  }

  function take(frame) {
    pass = frame.pass;
    passEnds = world.now() + 1_000 * frame.expires_in;
  }

  /** Whether somebody on the other side owes the person something. */
  function owed() {
    const last = talk.entries.at(-1);
    return queue.posts[0] || talk.floor !== 'assistant' || (last?.kind === 'posted' && byPerson(last));
  }

  /** Take over what an earlier life of this tab, or a tab that is gone, left unsent; and look again later. */
  function adopt() {
    if (memory.agreed) memory.adopt(queue.adopt);
    plan('adopt', ADOPT_AGAIN, memory.remember && adopt);
  }

  function state(is, code) {
    talk.stopped = code;
    queue.ready(is === 'live');
    if (code) on.error(code);
  }

  function settle(frame) {
    queue.settle(frame);
    if (frame.code === 'consent_needed') {
      // The clinic's text has changed, or it does not know that we agreed: it is shown again, the words are kept.
      memory.learn({ consent: undefined });
      visit().catch(() => {});
    }
    move();
  }

  function hear(frame) {
    const { t } = frame;
    if (t === 'welcome') talk.longest = frame.limits.text;
    if (t === 'event') happen(frame);
    if (t === 'typing') typed(frame.on && frame.who);
    if (t === 'pass') take(frame);
    if (t === 'later' && !frame.key) queue.settle(frame);
    if (t === 'reset') clear();
    if (t === 'live') {
      fresh = true;
      tellRead();
    }
    if (t === 'moved') {
      moving = frame;
      move();
    }
    changed();
  }

  function happen(event) {
    const { kind, who } = event;
    const posted = kind === 'posted';
    mark(event);
    if (posted && !byPerson(event)) typed();
    if (posted && fresh) on.message(event);
    if (event.handover) talk.floor = 'waiting';
    if (who.role === 'staff' && /taken|posted/.test(kind)) {
      talk.floor = who.role;
      talk.colleague = who.name;
    }
    if (/ased|closed/.test(kind)) talk.floor = 'assistant'; // released, erased
    if (kind === 'erased') {
      talk.entries = [];
      queue.clear();
      memory.note({ draft: '' });
    }
    if (shown(event)) talk.entries.push(event);
  }

  /** What an event, new or old, tells about who has read what. */
  function mark(event) {
    const { kind, seq } = event;
    const upto = kind === 'read' ? event.upto : kind === 'posted' && byPerson(event) ? seq : 0;
    if (byPerson(event)) readByMe = Math.max(readByMe, upto);
    else talk.readByThem = Math.max(talk.readByThem, upto);
  }

  function tellRead() {
    if (readByMe) line.send({ t: 'read', seq: readByMe }); // again changes nothing
  }

  /** Who else is typing; nobody is believed to do so for ever. */
  function typed(who) {
    talk.typist = who;
    plan('typist', TYPING_ENDS, who && (() => {
      typed();
      changed();
    }));
  }

  /** Go on in the other thread, but first let the old one answer for posts that may have arrived there. */
  function move() {
    if (!moving || queue.unsure()) return;
    thread = moving.to;
    take(moving);
    clear();
    queue.release();
    line.open();
  }

  function clear() {
    /** Events worth showing, in order. */
    talk.entries = [];
    /** `assistant`, `waiting` (for staff) or `staff`; then `colleague` is the name of who joined last. */
    talk.floor = 'assistant';
    /** The last of our posts that staff have read. */
    talk.readByThem = readByMe = 0;
    fresh = moving = undefined;
    typed();
  }
}
