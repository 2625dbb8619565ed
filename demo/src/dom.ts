type Child = Node | string | number | null | undefined | false;
type Props = Record<string, unknown>;

/** An element with attributes (`on...` functions become listeners) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  set(element, props);
  append(element, children);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

/** The same for SVG. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  set(element, props);
  append(element, children);
  return element;
}

function set(element: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') {
      element.addEventListener(name.slice(2).toLowerCase(), value as EventListener);
    } else if (name === 'style') (element as HTMLElement).style.cssText = String(value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false)
      element.append(child instanceof Node ? child : String(child));
  }
}

let unique = 0;
/** An id that no other element has. */
export const newId = (stem: string) => `${stem}-${++unique}`;

/** A labelled select. */
export function select(
  label: string,
  choices: readonly (readonly [value: string, text: string])[],
  props: Props = {},
): { field: HTMLElement; input: HTMLSelectElement } {
  const id = newId('select');
  const input = h(
    'select',
    { id, ...props },
    ...choices.map(([value, text]) => h('option', { value }, text)),
  );
  return { field: h('div', { class: 'field' }, h('label', { for: id }, label), input), input };
}

/** A labelled line of text. */
export function textField(label: string, value: string, props: Props = {}) {
  const id = newId('text');
  const input = h('input', { id, type: 'text', value, autocomplete: 'off', ...props });
  return { field: h('div', { class: 'field' }, h('label', { for: id }, label), input), input };
}

/** Two or more buttons of which one is chosen, as radio buttons. */
export function choice<T extends string>(
  legend: string,
  choices: readonly (readonly [value: T, text: string])[],
  chosen: T,
  onChange: (value: T) => void,
): HTMLElement {
  const name = newId('choice');
  return h(
    'fieldset',
    { class: 'choice' },
    h('legend', {}, legend),
    h(
      'div',
      {},
      ...choices.map(([value, text]) =>
        h(
          'label',
          {},
          h('input', {
            type: 'radio',
            name,
            value,
            checked: value === chosen,
            onChange: () => onChange(value),
          }),
          h('span', {}, text),
        ),
      ),
    ),
  );
}

/** The value of a CSS variable, for canvases. */
export const cssColor = (name: string) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** True for what `AbortController.abort` makes calls throw. */
export const isAbort = (error: unknown) => (error as Error)?.name === 'AbortError';
