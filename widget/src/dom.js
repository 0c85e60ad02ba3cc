/**
 * Nodes without HTML: text stays text, so nothing anybody writes can become markup.
 *
 * A view is made anew whenever something changes; `patch` touches what is on the page only where the two differ, so that
 * focus, scroll position and selection stay.
 */

/**
 * What a node shall be: `h('p.small.grey', {lang: 'de'}, 'Text')`. In `props`, functions are listeners, booleans and `value`
 * are properties, the rest are attributes; an attribute, or a child, that is null, undefined or empty is left out.
 * Siblings are told apart by their `key`, else by their tag and classes.
 */
export const h = (tag, { key = tag, ...props } = {}, ...children) => ({ tag, key, props, children });

/** Makes the children of `parent` what `wanted` says. What stays is not moved: a node that moves loses the focus. */
export function patch(parent, wanted) {
  const all = wanted.flat(9).filter((one) => one);
  const keys = all.map(({ key }) => key);
  for (const node of [...parent.childNodes]) if (!keys.includes(node.key)) node.remove();
  let here = parent.firstChild;
  for (const one of all) {
    const { tag, key, props, children } = one;
    let node = here;
    while (node && node.key !== key) node = node.nextSibling;
    node ??= Object.assign(make(tag), { key });
    if (tag) {
      for (const name in props) set(node, name, props[name]);
      patch(node, children);
    } else if (node.data !== one) node.data = one;
    if (node === here) here = node.nextSibling;
    else parent.insertBefore(node, here);
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function make(tag) {
  if (!tag) return new Text();
  const [name, ...classes] = tag.split('.');
  const node = document.createElementNS(`http://www.w3.org/${/svg|path/.test(name) ? '2000/svg' : '1999/xhtml'}`, name);
  if (classes[0]) node.setAttribute('class', classes.join(' '));
  if (name === 'button') node.type = name; // it sends no form unless it says so
  return node;
}

function set(node, name, value) {
  if (typeof value === 'function') node[`on${name}`] = (event) => void value(event); // `false` would forbid what the browser does
  else if (value === true || value === false || name === 'value') {
    if (node[name] !== value) node[name] = value;
  } else if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== `${value}`) node.setAttribute(name, value);
}

/** A line drawing of 24 by 24. */
export const icon = (d) => h('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' }, h('path', { d }));

/** A link that opens beside the page and tells it nothing; just the text if the address is not safe to follow. */
export const link = (href, text, tag = 'a', props) =>
  /^(https?|mailto|tel):/i.test(href) ? h(tag, { href, target: '_blank', rel: 'noopener noreferrer', key: href, ...props }, text) : text;

const ADDRESS = /((?:https?:|mailto:|tel:|www\.)[^\s<>"]*[^\s<>".,;:!?)]|[\w.+-]{1,64}@[\w.-]+\w|\+?\d[\d /-]+\d)/i;

/**
 * The text, its addresses as links.
 * @param {boolean} [phones] whether a row of digits is a number to call, as in a notice that says whom to call
 */
export const linked = (text, phones) =>
  text.split(ADDRESS).map((words, n) => {
    const scheme = /^\w+:/.test(words) ? '' : /@/.test(words) ? 'mailto:' : /^w/i.test(words) ? 'https://' : 'tel:';
    return n % 2 && (phones || scheme !== 'tel:') ? link(scheme + words.replace(/ /g, ''), words) : words;
  });
