/** Registers `<onethread-chat>`, once per page however often the script is included. */
import { OnethreadChat } from './element.js';

// A classic script knows its address; a module cannot say `import.meta` in a file that is also a classic script, but an
// error knows which file it was made in.
const source = document.currentScript?.src || new Error().stack;
OnethreadChat.server = source.match(/(http\S+?)\/widget\//)?.[1];

if (!customElements.get('onethread-chat')) customElements.define('onethread-chat', OnethreadChat);
