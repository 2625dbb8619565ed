import type { App, Panel } from './app.ts';
import { h } from './dom.ts';

/** Tabs by the ARIA pattern: arrow keys move, the panel is built when first shown, the address names it. */
export function showTabs(bar: HTMLElement, host: HTMLElement, panels: readonly Panel[], app: App): void {
  const bodies = panels.map(({ id }) =>
    h('section', { id: `panel-${id}`, role: 'tabpanel', 'aria-labelledby': `tab-${id}`, hidden: true }),
  );
  const show = (index: number, { focus = false, scroll = true } = {}) => {
    for (const [i, tab] of tabs.entries()) {
      tab.setAttribute('aria-selected', String(i === index));
      tab.tabIndex = i === index ? 0 : -1;
      bodies[i].hidden = i !== index;
    }
    if (!bodies[index].hasChildNodes()) bodies[index].append(panels[index].build(app));
    history.replaceState(null, '', `#${panels[index].id}`);
    if (focus) tabs[index].focus();
    // Chrome starts the next Tab press from what was scrolled to; on loading it should start at the top.
    if (scroll) tabs[index].scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  const onKeydown = (event: KeyboardEvent) => {
    const now = tabs.indexOf(event.currentTarget as HTMLButtonElement);
    const last = tabs.length - 1;
    const to = {
      ArrowRight: now === last ? 0 : now + 1,
      ArrowLeft: now ? now - 1 : last,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(to, { focus: true });
  };
  const tabs = panels.map(({ id, title }, index) =>
    h(
      'button',
      {
        id: `tab-${id}`,
        type: 'button',
        role: 'tab',
        'aria-controls': `panel-${id}`,
        onClick: () => show(index),
        onKeydown,
      },
      title,
    ),
  );
  bar.replaceChildren(...tabs);
  host.replaceChildren(...bodies);
  const asked = panels.findIndex(({ id }) => `#${id}` === location.hash);
  show(Math.max(0, asked), { scroll: false });
}
