/**
 * The staff console's line: one socket, many threads, each followed from where it was left.
 *
 * Built into dist/connection.js, the module the console imports: `connectStaff({url, enter, on})` and `followPage(line)`.
 */
import { connect, pageTies, patience, place, tie } from './connection.js';
import { emptyLog } from './log.js';
import { browser } from './world.js';

export { uuid } from './world.js';

const AGAIN = 10_000; // ms after which a thread that was asked for and has not come is asked for again

/** As `connect`, but `enter` gives `{ticket}`, `live` is reached with the welcome, and the line can `watch` and `unwatch`. */
export const connectStaff = (options) => connect({ world: browser, ...options, on: { settle() {}, state() {}, mistake() {}, owed: () => true, ...options.on }, following: manyThreads });

/** Ties a line to the page; returns what unties it. */
export const followPage = (line) => tie(pageTies(line));

function manyThreads({ line, world, pause, write, stands }) {
  const logs = new Map();
  let life; // of the store, as the last welcome called it
  const ask = (thread) => {
    const log = logs.get(thread);
    log.asking = true;
    write({ t: 'watch', thread, ...place(log) });
    world.after(AGAIN, () => log.asking && follows(thread, log) && ask(thread)); // the server may have said "later"
  };
  const follows = (thread, log) => line.state === 'live' && logs.get(thread) === log;
  return {
    line: {
      /** Follow `thread` from what we have of it, or from its newest messages. */
      watch(thread) {
        if (!logs.has(thread)) logs.set(thread, Object.assign(emptyLog(), { epoch: life }));
        if (line.state === 'live') ask(thread);
      },
      /** Follow it no longer. */
      unwatch(thread) {
        if (logs.delete(thread)) line.send({ t: 'unwatch', thread });
      },
    },
    log: (thread) => logs.get(thread),
    forget: () => logs.clear(),
    hello: ({ ticket }) => ({ ticket }),
    welcome({ epoch }) {
      life = epoch;
      stands();
      for (const [thread, log] of logs) {
        log.epoch ??= epoch;
        ask(thread);
      }
    },
    live(log) {
      if (log) log.asking = false;
    },
    lost(log, thread) {
      if (log.asking) return;
      log.asking = true;
      world.after(patience(log, pause), () => follows(thread, log) && ask(thread));
    },
  };
}
