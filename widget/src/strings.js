/**
 * What the widget says. In the sources it says it in English; the words of another language come from our own server
 * when they are needed, by what they are in English.
 */
const PATIENCE = 2_000; // ms for its words; then it is English for now

const known = {};

const stem = (language) => language.slice(0, 2).toLowerCase();

/**
 * Learns a language; one that cannot be had is spoken in English.
 * @param {string} server where its words are
 * @param {string} language BCP 47, of which `de-AT` is `de`
 */
export async function learn(server, language) {
  const base = stem(language);
  if (base === 'en' || known[base]) return;
  known[base] = await fetch(`${server}/widget/v1/strings/${base}.json`, { signal: AbortSignal.timeout(PATIENCE) })
    .then((answer) => answer.json())
    .catch(() => undefined); // asked for again with the next switch
}

/** Speaks: `t('{name} has joined.', {name})`. */
export const speech = (language) => (english, values) =>
  (known[stem(language)]?.[english] ?? english).replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** Which way it is written. */
export const direction = (language) => (/^(ar|fa|he|ur|yi)/.test(language) ? 'rtl' : 'ltr');
