/** The three questions a visitor asks over HTTP: to be let in, for older messages, and to be forgotten. */

/** A refusal, by its code. `stop`: asking again will not help. `wait`: not before so many ms. */
export const refusal = (code, stop, wait) => Object.assign(new Error(code), { name: 'OnethreadError', code, stop: stop && code, wait });

/**
 * What `fetch` throws when nobody can be reached has no code, and is worth another try.
 * @param {string} server where Onethread is
 */
export function doorOf(server) {
  async function request(method, path, pass, body) {
    const headers = body ? { 'Content-Type': 'application/json' } : { Authorization: `Bearer ${pass}` };
    const answer = await fetch(server + path, { method, headers, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    const { ok, status } = answer;
    if (ok) return said;
    // Too many, or their trouble: later. A page that may not ask, or asks for what is not there: never, if it is the server
    // that says so and not something on the way, which may also name a date where we expect seconds.
    throw refusal(said.code ?? status, said.code && status < 500 && status !== 429, 1_000 * answer.headers.get('Retry-After') || 0);
  }
  return {
    /** A pass, the thread and what the clinic says of itself. */
    visit: (wish) => request('POST', '/api/visits', '', wish),
    /** The page of the log that ends just before `before`. */
    history: (thread, before, pass) => request('GET', `/api/threads/${thread}/events?before=${before}`, pass),
    /** "End and forget here": the secret opens nothing any more. */
    forget: (pass) => request('DELETE', '/api/visits', pass),
  };
}
