/** Any brand colour, always readable: WCAG's 4.5:1 is computed, not hoped for. */

const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];

/** A computed colour, `rgb(11, 107, 99)` or `color(srgb 0.04 0.42 0.39)`, as three numbers from 0 to 255. */
export const parse = (colour) =>
  colour.match(/[\d.]+(e-\d+)?/g).slice(0, 3).map((part) => part * (colour.startsWith('rgb') ? 1 : 255));

/**
 * Relative luminance, and 0.05. The straight piece for the darkest parts is left out: it differs by less than 0.001.
 * Source: w3.org/TR/WCAG22, definitions of "relative luminance" and "contrast ratio".
 */
const light = (colour) => colour.reduce((sum, part, n) => sum + [0.2126, 0.7152, 0.0722][n] * ((part / 255 + 0.055) / 1.055) ** 2.4, 0.05);

/** WCAG's contrast of two colours, from 1 to 21. */
export const contrast = (one, other) => {
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return bright / dark;
};

/** Black or white, whichever can be read on this colour. Where the two are equal, both reach 4.58:1. */
export const textOn = (colour) => (light(colour) > 0.229 ? BLACK : WHITE);

/** The colour itself, or else whatever can be read as text on `surface`. */
export function readableOn(surface, colour) {
  const ratio = light(surface) / light(colour);
  return ratio < 4.5 && ratio > 1 / 4.5 ? textOn(surface) : colour;
}
