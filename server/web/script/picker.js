/** A list to choose from with a few letters: commands, colleagues, texts, times. */

/** Opens the picker `dialog`; `fits(option)` leaves out what cannot be chosen now. */
export function pick(dialog, fits = () => true) {
  const input = dialog.querySelector('input');
  const options = [...dialog.querySelectorAll('[role=option]')];
  const empty = dialog.querySelector('.empty');
  let shown;
  const mark = (option) => {
    for (const each of options) each.setAttribute('aria-selected', each === option);
    input.setAttribute('aria-activedescendant', option?.id ?? '');
    option?.scrollIntoView({ block: 'nearest' });
  };
  const filter = () => {
    const letters = input.value.toLocaleLowerCase().split(/\s+/);
    for (const each of options) each.hidden = !(fits(each) && letters.every((some) => each.textContent.toLocaleLowerCase().includes(some)));
    shown = options.filter((each) => !each.hidden);
    if (empty) empty.hidden = shown.length > 0;
    mark(shown[0]);
  };
  const chosen = () => shown.findIndex((each) => each.getAttribute('aria-selected') === 'true');
  input.value = '';
  input.oninput = filter;
  input.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) mark(shown[(chosen() + step + shown.length) % shown.length]);
    else if (event.key === 'Enter') shown[chosen()]?.click();
    else return;
    event.preventDefault();
  };
  filter();
  if (!dialog.open) dialog.showModal();
  input.focus();
}
