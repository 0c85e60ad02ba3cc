/** The browser's own socket, clock and chance; tests hand in others. */
export const browser = {
  WebSocket: globalThis.WebSocket,
  now: Date.now,
  random: Math.random,
  /** Calls `then` after `ms`; returns what calls it off. */
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/** Plans by name: a new one replaces the one before, and without a deed it only calls that off. */
export const planner = ({ after }) => {
  const plans = {};
  return (name, ms, then) => {
    plans[name]?.();
    plans[name] = then ? after(ms, then) : null;
  };
};

/** A random UUID for a `key`. Not `randomUUID`, which plain-http pages on a clinic's own network do not have. */
export const uuid = () =>
  'xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx'.replace(/x/g, () => (crypto.getRandomValues(new Uint8Array(1))[0] % 16).toString(16));

/** What the deed gives; nothing where the browser, or what it is given, does not allow it. */
export const attempt = (deed) => {
  try {
    return deed();
  } catch {
    return undefined;
  }
};
