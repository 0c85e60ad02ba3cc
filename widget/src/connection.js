/**
 * One line to the server, `onethread.v1`: it gets in, follows a log without a hole and comes back after every cut.
 *
 * It knows no page: the socket, the clock and chance are handed in, so that tests drive it and the visitor's widget and the
 * staff console share it. What it promises is in docs/protocol.md; the numbers here are from there.
 */
import { emptyLog } from './log.js';
import { planner } from './world.js';

const OPENING = 20_000; // ms from the first packet to `live`; a socket that takes longer is given up
const PROBE = 5_000; // ms for an answer when the page wakes up and the line may be long dead
const GRACE = 1_000; // ms: a heartbeat may overtake the event it speaks of
const HIDDEN = 300_000; // ms: a hidden tab nobody owes a reply to hangs up
const MINUTE = 60_000; // ms: an outage's first minute, and the calm after which the next cut is a new one
const RENEW_AT = 0.8; // of a pass's life

/** Close codes after which coming back is of no use, and what is wrong. */
const STOP = { 4003: 'not_allowed', 4004: 'outdated' };

/** Full jitter from 0.5 s, doubling, at most 4 s in an outage's first minute, then 30 s; afresh after 60 s of calm. */
export function backOff({ now, random }) {
  let tries = 0;
  let since;
  let up;
  return {
    /** How many ms to wait before the next try. */
    next() {
      since ??= now();
      return random() * Math.min(now() - since < MINUTE ? 4_000 : 30_000, 500 * 2 ** tries++);
    },
    up() {
      up = now();
    },
    down() {
      if (now() - up >= MINUTE) {
        tries = 0;
        since = undefined;
      }
      up = undefined;
    },
  };
}

/**
 * A line that is not yet used. Its `state` is, in the order of a good life: `resting` (not asked to be there, or hung up),
 * `connecting`, `live`; and after a cut `waiting` (it comes back by itself) or `stopped` (it does not).
 *
 * @param {object} options
 * @param {string} options.url `wss://…/ws/visitor` or `/ws/staff`
 * @param {(renew: boolean) => Promise<object | undefined>} options.enter what to get in with: `{pass, expires_in, thread}` or
 *   `{ticket}`; nothing when there is no reason to be on the line. Throws an error with `stop` (a code) to give up, or
 *   with `wait` (ms) to come back no earlier than that; any other error means: try again.
 * @param {object} options.on what happens: `frame(frame)` all that the server says and is new, in order;
 *   `settle(frame)` an answer to a `key` of ours, before any rule about order; `state(state, code)`; `mistake()` the server
 *   hung up because of our last frame; `owed()` whether a hidden tab must stay because somebody owes it a reply
 * @param {object} options.world socket, clock and chance
 * @param {typeof oneThread} [options.following] which logs are followed, and how a hole is asked for
 */
export function connect({ url, enter, on, world, following = oneThread }) {
  const plan = planner(world);
  const pause = backOff(world);
  let socket;
  let wanted;
  let renew;
  let knocked; // we came back at once, and were not let in
  let missed;
  let notBefore = 0; // a server that named a time is not asked earlier, whoever wakes us
  let turn = 0;

  const line = {
    state: 'resting',

    /** Be on the line from now on. */
    start() {
      wanted = true;
      line.wake();
    },

    /** Try now what was planned for later. On a line that seems to stand, ask whether it does. */
    wake() {
      if (line.state === 'live') {
        write({ t: 'ping' });
        plan('deadline', PROBE, gone);
      } else if (wanted && line.state !== 'connecting' && world.now() >= notBefore) line.open();
    },

    /** Hang up for now; `wake` resumes where we were, but only `start` what a `code` has stopped. */
    rest(state = 'resting', code) {
      wanted &&= !code;
      drop();
      become(state, code);
    },

    /** Hang up for good and forget everything. */
    end() {
      wanted = renew = false;
      follows.forget();
      line.rest();
    },

    /** The page is out of sight, or back. */
    hidden(is, after = HIDDEN) {
      plan('hidden', after, is && (() => (on.owed() ? line.hidden(is, MINUTE) : line.rest())));
      if (!is) line.wake();
    },

    /** Say something; false if there is no line to say it on. */
    send: (frame) => line.state === 'live' && write(frame),

    /** Get in, whatever is there now. */
    async open() {
      drop();
      const mine = turn;
      become('connecting');
      let opening;
      try {
        opening = await enter(renew);
      } catch ({ stop, wait }) {
        if (mine === turn) stop ? line.rest('stopped', stop) : retry(pause.next(), wait);
        return;
      }
      if (mine !== turn) return;
      renew = false;
      if (!opening) {
        wanted = false;
        line.rest();
        return;
      }
      socket = new world.WebSocket(url, 'onethread.v1');
      const during = (then) => (event) => mine === turn && then(event);
      plan('deadline', OPENING, gone);
      socket.onopen = during(() => {
        write({ t: 'hello', v: 1, ...follows.hello(opening) });
        renewIn(opening.expires_in);
      });
      socket.onmessage = during(({ data }) => hear(JSON.parse(data)));
      socket.onclose = during(gone);
    },
  };
  const follows = following({ line, on, world, pause, write, stands, again });
  return Object.assign(line, follows.line);

  function hear(frame) {
    const { t, thread } = frame;
    const log = follows.log(thread);
    const mine = turn;
    if (frame.key) on.settle(frame);
    if (mine !== turn) return; // that led us elsewhere
    if (t === 'welcome') {
      beat(frame.heartbeat * 1_000);
      follows.welcome(frame);
    } else if (t === 'event' || t === 'skip' || t === 'live') {
      const fits = log?.take(frame);
      if (log && fits === undefined) return follows.lost(log, thread);
      if (t === 'live') follows.live(log);
      else if (!fits) return;
    } else if (t === 'reset') log?.clear(frame.epoch);
    else if (t === 'pong') {
      missed = 0;
      plan('deadline');
      compare(frame.heads);
    } else if (t === 'pass') renewIn(frame.expires_in);
    else if (t === 'moved') stands(); // posts that may have arrived in the old thread are asked about there
    else if (t === 'drain') retry(0, world.random() * frame.in_ms);
    on.frame(frame);
  }

  /** The line stands, and we have everything. */
  function stands() {
    plan('deadline');
    knocked = false;
    notBefore = 0; // by a clock that may be set back it would lie far ahead
    pause.up();
    become('live');
  }

  /** Come back on a new socket. */
  function again(ms) {
    drop();
    retry(ms);
  }

  /** A head above what we have means that something was lost; a moment later, that it is not just late. */
  function compare(heads) {
    const behind = (then) => {
      for (const thread in heads) {
        const log = follows.log(thread);
        if (log?.last < heads[thread]) then(log, thread);
      }
    };
    behind(() => plan('grace', GRACE, () => behind(follows.lost)));
  }

  function beat(every) {
    plan('heart', every, () => {
      if (missed++ > 1) return gone();
      write({ t: 'ping' });
      beat(every);
    });
  }

  function renewIn(seconds) {
    if (seconds) plan('renew', seconds * 1_000 * RENEW_AT, () => write({ t: 'renew' }));
  }

  /** The socket is gone; the code says what that asks of us. */
  function gone({ code, reason } = {}) {
    const expired = code === 4001;
    const now = expired || code === 4008;
    drop();
    if (/100[23789]/.test(code)) on.mistake();
    if (/100[01]/.test(code)) line.rest();
    else if (STOP[code]) line.rest('stopped', STOP[code]);
    else {
      // At once is for once: a server that keeps closing is not helped by a client that keeps knocking.
      const wait = code === 1013 ? 5_000 : code === 4029 ? 1_000 * (parseFloat(reason) || 5) : 0;
      retry(now && !knocked ? 0 : pause.next(), wait);
      renew ||= expired;
      knocked ||= now;
    }
  }

  /** Come back after `wait` and then `ms`; not before `wait`, or an earlier one, is over, whoever wakes us. */
  function retry(ms, wait = 0) {
    notBefore = Math.max(notBefore, world.now() + wait);
    plan('retry', notBefore - world.now() + ms, line.open);
    if (!socket) become('waiting');
  }

  /** Let go of the socket and of everything planned on it. */
  function drop() {
    for (const name of ['deadline', 'heart', 'renew', 'retry', 'grace']) plan(name);
    turn++;
    missed = 0;
    pause.down();
    socket?.close();
    socket = undefined;
  }

  function write(frame) {
    if (socket?.readyState !== 1) return false;
    socket.send(JSON.stringify(frame));
    return true;
  }

  function become(state, code) {
    if (state === line.state) return;
    line.state = state;
    on.state(state, code);
  }
}

/** Where in a log to go on. */
export const place = ({ last, epoch }) => (last === undefined ? {} : { after: last, epoch });

/** How much patience a hole deserves: none the first time, some if asking did not help. */
export function patience(log, pause) {
  const ms = log.asked === log.last ? pause.next() : 0;
  log.asked = log.last;
  return ms;
}

/** A visitor's line follows one thread; what was lost is asked for with a new hello. */
function oneThread({ pause, stands, again }) {
  const log = emptyLog();
  let own;
  /** Another thread begins with an empty window. */
  const follow = (thread) => {
    if (thread !== own) log.clear();
    own = thread;
  };
  return {
    line: { log },
    log: () => log,
    forget: follow,
    hello({ pass, thread }) {
      follow(thread);
      return { pass, ...place(log) };
    },
    welcome({ thread, epoch }) {
      follow(thread);
      log.epoch ??= epoch;
    },
    live: stands,
    lost: () => again(patience(log, pause)),
  };
}

/** What ties a line to a page: back in sight or back on the network, it tries at once. For `tie`. */
export const pageTies = (line) => [
  [document, 'visibilitychange', () => line.hidden(document.hidden)],
  [window, 'online', () => line.wake()],
  [window, 'offline', () => line.state === 'live' && line.wake()],
];

/** Listens: `[target, event, listener]`. Returns what ends that. */
export function tie(ties) {
  for (const [target, type, listener] of ties) target?.addEventListener(type, listener);
  return () => ties.forEach(([target, type, listener]) => target?.removeEventListener(type, listener));
}
