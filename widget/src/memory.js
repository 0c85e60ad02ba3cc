/**
 * What this device remembers, and for how long.
 *
 * Nothing before the person has agreed. Then the tab's session storage, which ends with the tab; the device's local
 * storage only when "remember me on this device" is ticked. What was said is not kept here, except what is still
 * waiting to be sent. A browser that forbids storage gets a conversation that lasts as long as the page.
 *
 * A device has one visitor: of two tabs that are both told to remember theirs, the second goes over to the first's.
 */

import { attempt } from './world.js';

/** Written in place of a visit for a moment, so that other tabs can tell forgetting from no longer remembering. */
const FORGOTTEN = '0';

/** Reads and writes JSON. A storage that is full, blocked or holds something else is like one that is empty. */
const box = (storage) => ({
  get: (name) => attempt(() => JSON.parse(storage().getItem(name))),
  set: (name, value) => attempt(() => (value === undefined ? storage().removeItem(name) : storage().setItem(name, JSON.stringify(value)))),
  /** Its names that begin so. */
  names: (beginning) => attempt(() => Object.keys(storage()).filter((name) => name.startsWith(beginning))) ?? [],
});

/**
 * @param {string} name tells this site's conversation from others of the same origin; ends in a colon
 * @param {object} device
 * @param {() => Storage} device.session where a tab's things are; asking may throw
 * @param {() => Storage} device.local where a device's things are
 * @param {LockManager} [device.locks]
 * @param {string} device.id this page's own
 */
export function memoryOf(name, { session, local, locks, id }) {
  const tabOnly = box(session);
  const device = box(local);
  const place = `${name}visit`;
  const queue = `${name}queue:`;
  const mine = queue + id;
  const here = tabOnly.get(place);
  const there = here ? undefined : device.get(place);
  let known = there?.visitor; // as the device was last seen to call its visitor
  let posts = [];
  let leave;

  const memory = {
    /** Whether anything may be written down at all. */
    agreed: Boolean(here || there),
    /** Whether it outlives the tab. */
    remember: Boolean(there),
    /** `{visitor, consent, language, sound, clinic}`: what is known of this person's visit. */
    visit: here || there || {},
    /** `{open, draft}`: what is true of this tab alone. */
    tab: tabOnly.get(`${name}tab`) ?? { draft: '' },

    /** Know more about the visit; it is written down if the person has agreed. */
    learn(visit) {
      Object.assign(memory.visit, visit);
      if (!memory.agreed) return;
      if (!memory.remember || known === memory.visit.visitor) store().set(place, memory.visit);
      else lock(place, {}, first);
    },

    /** Know more about this tab. */
    note(tab) {
      Object.assign(memory.tab, tab);
      if (memory.agreed) tabOnly.set(`${name}tab`, memory.tab);
    },

    /** "Remember me on this device", ticked or not; the queue moves along. */
    outlive(remember) {
      store().set(mine);
      store().set(place);
      memory.remember = remember;
      known = undefined;
      memory.learn();
      memory.keep(posts);
    },

    /** Write the queue down. As long as this page lives it is its own; the queue of a page that is gone is anybody's. */
    keep(all) {
      posts = all;
      if (!memory.agreed) return;
      store().set(mine, posts[0] && posts);
      if (memory.remember && !leave) lock(mine, {}, () => new Promise((done) => (leave = done)));
    },

    /** Take over what an earlier life of this tab, or a tab that is gone, left waiting: `take(posts)` is called for each. */
    adopt(take) {
      const where = store();
      for (const other of where.names(queue)) {
        const move = () => {
          take(where.get(other) ?? []); // written down under our name first, then removed there
          where.set(other);
        };
        if (other === mine) continue;
        // A session has one tab; and without locks the keys see to it that saying it twice is once.
        if (memory.remember) lock(other, { ifAvailable: true }, (free) => free && move());
        else move();
      }
    },

    /**
     * Another tab of this device wrote something (a `storage` event).
     * @returns {boolean} whether it was "end and forget here", which is meant for all of them
     */
    elsewhere({ key, newValue }) {
      if (key !== place || !memory.remember) return false;
      if (newValue === FORGOTTEN) return true;
      if (newValue) meet(JSON.parse(newValue));
      else memory.outlive(false); // ticked off: what this tab has ends with this tab
      return false;
    },

    /** Leave no trace. */
    forget() {
      if (memory.remember) device.set(place, +FORGOTTEN);
      for (const storage of [tabOnly, device]) storage.names(name).forEach((one) => storage.set(one));
      leave?.();
      leave = undefined;
      known = undefined;
      Object.assign(memory, { agreed: false, remember: false, visit: {}, tab: { draft: '' } });
    },
  };
  return memory;

  function store() {
    return memory.remember ? device : tabOnly;
  }

  function lock(what, options, then) {
    if (locks) locks.request(`lock:${what}`, options, then).catch(() => {}); // where that is forbidden, so is storage
    else then(true);
  }

  /** Be the device's visitor, if it has none or still the one we knew; else become what another tab has put there. */
  function first() {
    if (!memory.remember) return; // forgotten or ticked off meanwhile
    const own = memory.visit.visitor;
    const there = device.get(place);
    if ([undefined, known, own].includes(there?.visitor)) device.set(place, memory.visit), (known = own);
    else meet(there);
  }

  function meet(visit) {
    const own = memory.visit.visitor;
    memory.visit = visit;
    known = visit.visitor;
    if (known !== own) memory.met?.(); // set by whoever has to know that it is another visitor's now
  }
}
